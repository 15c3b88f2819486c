import { z } from 'zod'
import catalog from './catalog.json' with { type: 'json' }
import { SamplerName } from './samplers.ts'

/** What a model can do and within which limits. Both sides read it; importing a model writes it. */
export const Model = z.strictObject({
	id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/),
	name: z.string(),
	description: z.string(),
	tasks: z.array(z.enum(['text-to-image'])).min(1),
	/** Pixels; width and height are each a multiple of `multiple`. */
	size: z.strictObject({ default: z.int(), min: z.int(), max: z.int(), multiple: z.int() }),
	/** What a request may name in place of the model's own sampler. */
	samplers: z.array(SamplerName).min(1),
	/** Evaluations of the U-Net for one picture. */
	steps: z.strictObject({ default: z.int(), min: z.int(), max: z.int() }),
	guidance: z.strictObject({ default: z.number(), min: z.number(), max: z.number() }),
	count: z.strictObject({ default: z.int(), max: z.int() }),
	/** Characters. */
	prompt: z.strictObject({ max: z.int() })
})
export type Model = z.infer<typeof Model>

export const models: readonly Model[] = z.array(Model).parse(catalog.models)

export const findModel = (id: string): Model | undefined => models.find((model) => model.id === id)
