import { z } from 'zod'
import catalog from './catalog.json' with { type: 'json' }
import { GenerationRequest, mostPictures } from './contract/generation.ts'
import { Price, usualPrice } from './pricing.ts'
import { SamplerName } from './samplers.ts'

const Strength = z.number().min(0).max(1)

/** An object of these fields alone, which says so. */
const only = <S extends z.core.$ZodShape>(shape: S) => {
	const fields = Object.keys(shape)
	const expected = fields.length > 0 ? `only ${fields.join(', ')}` : 'no field'
	return z.strictObject(shape, {
		error: (issue) => (issue.code === 'unrecognized_keys' ? `expected ${expected}, got ${issue.keys.join(', ')}` : undefined)
	})
}

/** What a model can be asked for, and what a client must know of each task. */
export const ModelTasks = only({
	'text-to-image': only({}),
	/**
	 * `strength`: the default. `original_steps`: of a latent consistency model, the steps of the walk that it was distilled from; a picture has
	 * all its steps in `strength` of that, and where it is absent, `strength` of its steps. `image_guidance`: of a model that is guided by the
	 * image too.
	 */
	'image-to-image': only({
		strength: Strength.optional(),
		original_steps: z.int().min(1).optional(),
		image_guidance: only({ default: z.number().min(1), max: z.number().min(1) }).optional()
	}),
	/** Without `strength` every picture starts from noise alone, as in the paper; so does image-to-image. */
	inpainting: only({ strength: Strength.optional() }),
	/** The picture is `factor` times as large as the image. `noise_level`: what the image is noised with before it is enlarged. */
	'super-resolution': only({
		factor: z.int().min(2),
		noise_level: only({ default: z.int().min(0), max: z.int().min(0) }).optional()
	}),
	/** Names, by number. */
	'class-conditional': only({ classes: z.array(z.string()).min(1) }),
	/** Names of what a box can hold, by number; `max` boxes at most. */
	'layout-to-image': only({ labels: z.array(z.string()).min(1), max: z.int().min(1) }),
	/** Classes by number, each with the colour that means it in a map. */
	'semantic-synthesis': only({
		labels: z.array(only({ name: z.string(), color: z.string().regex(/^#[0-9a-f]{6}$/) })).min(1)
	}),
	unconditional: only({})
})
	.partial()
	.refine((tasks) => Object.keys(tasks).length > 0, 'at least one task')
export type ModelTasks = z.infer<typeof ModelTasks>

const between = (range: { min: number; default: number; max: number }) => range.min <= range.default && range.default <= range.max
const order = 'expected min ≤ default ≤ max'
const Range = (number: z.ZodType<number, number>) => only({ default: number, min: number, max: number }).refine(between, order)
const Count = z.int().min(1)

/** What a model can do and within which limits. Both sides read it; importing a model writes it. */
export const Model = only({
	id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
	name: z.string(),
	description: z.string(),
	tasks: ModelTasks,
	/** Pixels of the picture; width and height are each a multiple of `multiple`. */
	size: only({ default: Count, min: Count, max: Count, multiple: Count })
		.refine(between, order)
		.refine(
			({ multiple, ...sides }) => Object.values(sides).every((side) => side % multiple === 0),
			'expected multiples of multiple'
		),
	/** What a request may name in place of the model's own sampler; nothing where no other reads its settings. */
	samplers: z.array(SamplerName),
	/** Evaluations of the U-Net for one picture. */
	steps: Range(Count),
	/** At most 1: the model has no guidance. */
	guidance: Range(z.number()),
	count: only({ default: Count, max: Count.max(mostPictures) }).refine(
		(count) => count.default <= count.max,
		'expected default ≤ max'
	),
	/** Of a model with a ControlNet, which a `control_image` steers in all of its tasks: how strongly where a request does not say, and at most. */
	control: only({ default: z.number().min(0), max: z.number().min(0) }).optional(),
	/** Characters, 0 where the model takes no text; `negative`: whether it can be told what to keep away from. */
	prompt: only({ max: z.int().min(0), negative: z.boolean() }),
	price: Price.default(usualPrice),
	/** Requests that are worth a try, as the playground offers them; they name their task where it is not the model's first. */
	examples: z.array(only({ name: z.string(), request: GenerationRequest.omit({ model: true }) })).optional()
})
export type Model = z.infer<typeof Model>

const Catalog = only({
	models: z
		.array(Model)
		.min(1)
		.refine((models) => new Set(models.map(({ id }) => id)).size === models.length, 'expected each id once')
})

/** The catalog as it was read from `file`, which people edit. Throws what is wrong with it, and where, in a line. */
export function parseCatalog(read: unknown, file: string): z.infer<typeof Catalog> {
	const parsed = Catalog.safeParse(read)
	if (!parsed.success) {
		const faults = parsed.error.issues.map(({ path, message }) => `${z.core.toDotPath(path) || 'all of it'}: ${message}`)
		throw Object.assign(new Error(`${file}: ${faults.join('; ')}`), { name: 'CatalogError' })
	}
	return parsed.data
}

export const models: readonly Model[] = parseCatalog(catalog, 'shared/catalog.json').models

export const findModel = (id: string): Model | undefined => models.find((model) => model.id === id)
