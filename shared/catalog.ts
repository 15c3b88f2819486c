import { z } from 'zod'
import catalog from './catalog.json' with { type: 'json' }
import { GenerationRequest } from './contract/generation.ts'
import { Price, usualPrice } from './pricing.ts'
import { SamplerName } from './samplers.ts'

const Strength = z.number().min(0).max(1)

/** What a model can be asked for, and what a client must know of each task. */
export const ModelTasks = z
	.strictObject({
		'text-to-image': z.strictObject({}),
		/**
		 * `strength`: the default. `original_steps`: of a latent consistency model, the steps of the walk that it was distilled from; a picture has
		 * all its steps in `strength` of that, and where it is absent, `strength` of its steps. `image_guidance`: of a model that is guided by the
		 * image too.
		 */
		'image-to-image': z.strictObject({
			strength: Strength.optional(),
			original_steps: z.int().min(1).optional(),
			image_guidance: z.strictObject({ default: z.number().min(1), max: z.number().min(1) }).optional()
		}),
		/** Without `strength` every picture starts from noise alone, as in the paper; so does image-to-image. */
		inpainting: z.strictObject({ strength: Strength.optional() }),
		/** The picture is `factor` times as large as the image. `noise_level`: what the image is noised with before it is enlarged. */
		'super-resolution': z.strictObject({
			factor: z.int().min(2),
			noise_level: z.strictObject({ default: z.int().min(0), max: z.int().min(0) }).optional()
		}),
		/** Names, by number. */
		'class-conditional': z.strictObject({ classes: z.array(z.string()).min(1) }),
		/** Names of what a box can hold, by number; `max` boxes at most. */
		'layout-to-image': z.strictObject({ labels: z.array(z.string()).min(1), max: z.int().min(1) }),
		/** Classes by number, each with the colour that means it in a map. */
		'semantic-synthesis': z.strictObject({
			labels: z.array(z.strictObject({ name: z.string(), color: z.string().regex(/^#[0-9a-f]{6}$/) })).min(1)
		}),
		unconditional: z.strictObject({})
	})
	.partial()
	.refine((tasks) => Object.keys(tasks).length > 0, 'at least one task')
export type ModelTasks = z.infer<typeof ModelTasks>

const Range = (number: z.ZodType<number, number>) =>
	z
		.strictObject({ default: number, min: number, max: number })
		.refine((range) => range.min <= range.default && range.default <= range.max, 'expected min ≤ default ≤ max')

/** What a model can do and within which limits. Both sides read it; importing a model writes it. */
export const Model = z.strictObject({
	id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
	name: z.string(),
	description: z.string(),
	tasks: ModelTasks,
	/** Pixels of the picture; width and height are each a multiple of `multiple`. */
	size: z.strictObject({ default: z.int(), min: z.int(), max: z.int(), multiple: z.int() }),
	/** What a request may name in place of the model's own sampler; nothing where no other reads its settings. */
	samplers: z.array(SamplerName),
	/** Evaluations of the U-Net for one picture. */
	steps: Range(z.int().min(1)),
	/** At most 1: the model has no guidance. */
	guidance: Range(z.number()),
	count: z.strictObject({ default: z.int(), max: z.int() }),
	/** Characters, 0 where the model takes no text; `negative`: whether it can be told what to keep away from. */
	prompt: z.strictObject({ max: z.int().min(0), negative: z.boolean() }),
	price: Price.default(usualPrice),
	/** Requests that are worth a try, as the playground offers them; they name their task where it is not the model's first. */
	examples: z.array(z.strictObject({ name: z.string(), request: GenerationRequest.omit({ model: true }) })).optional()
})
export type Model = z.infer<typeof Model>

const Catalog = z.strictObject({
	models: z.array(Model).refine((models) => new Set(models.map(({ id }) => id)).size === models.length, 'expected each id once')
})

/** The catalog as it was read from `file`, which people edit. Throws what is wrong with it, and where. */
export function parseCatalog(read: unknown, file: string): z.infer<typeof Catalog> {
	const parsed = Catalog.safeParse(read)
	if (!parsed.success) {
		throw new Error(`${file}: ${z.prettifyError(parsed.error)}`)
	}
	return parsed.data
}

export const models: readonly Model[] = parseCatalog(catalog, 'shared/catalog.json').models

export const findModel = (id: string): Model | undefined => models.find((model) => model.id === id)
