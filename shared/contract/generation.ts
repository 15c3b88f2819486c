import { z } from 'zod'
import type { Model } from '../catalog.ts'
import { mostSteps, SamplerName } from '../samplers.ts'
import { Problem } from './problem.ts'

/** Seeds are uint32: the low 32 bits are all that torch's CPU generator takes from one. */
const Seed = z.int().min(0).max(0xffff_ffff)

/** `POST /v1/generations`: what a client may ask for. The catalog narrows it for each model. */
export const GenerationRequest = z.strictObject({
	model: z.string().min(1).max(64),
	prompt: z.string().trim().min(1).max(10_000),
	negative_prompt: z.string().max(10_000).optional(),
	/** Pixels. */
	width: z.int().min(1).optional(),
	height: z.int().min(1).optional(),
	steps: z.int().min(1).optional(),
	/** Classifier-free guidance scale; 1 and below draw without guidance. */
	guidance: z.number().min(0).optional(),
	/** How the latent is walked from noise to picture; the model's own way when null. */
	sampler: SamplerName.nullable().optional(),
	/** DDIM's η: how much noise its steps add, from none (0, and when null) to as much as DDPM's (1). */
	eta: z.number().min(0).max(1).nullable().optional(),
	/** Picture i uses seed + i. Drawn at random when absent. */
	seed: Seed.optional(),
	count: z.int().min(1).optional()
})
export type GenerationRequest = z.infer<typeof GenerationRequest>

/**
 * A request with every default filled in: the same one, posted again, draws the same pictures. A null `sampler` stays null, for it is the
 * model's own, which is more than a name: its scheduler's class and all its settings. It changes only as weights do, with the model.
 */
export const ResolvedRequest = GenerationRequest.required().extend({
	prompt: z.string(),
	sampler: SamplerName.nullish(),
	eta: GenerationRequest.shape.eta
})
export type ResolvedRequest = z.infer<typeof ResolvedRequest>

/** `request` within one model's limits. Issues carry the field's path. */
export function requestFor(model: Model) {
	const samplers = SamplerName.extract(model.samplers)
	const side = z.int().min(model.size.min).max(model.size.max).multipleOf(model.size.multiple)
	return GenerationRequest.extend({
		prompt: z.string().trim().min(1).max(model.prompt.max),
		negative_prompt: z.string().max(model.prompt.max).default(''),
		width: side.default(model.size.default),
		height: side.default(model.size.default),
		steps: z.int().min(model.steps.min).max(model.steps.max).default(model.steps.default),
		sampler: samplers.nullable().default(null),
		eta: GenerationRequest.shape.eta.unwrap().default(null),
		guidance: z.number().min(model.guidance.min).max(model.guidance.max).default(model.guidance.default),
		seed: Seed.default(() => crypto.getRandomValues(new Uint32Array(1))[0] as number),
		count: z.int().min(1).max(model.count.max).default(model.count.default)
	}).check(({ value: { sampler, steps, eta }, issues }) => {
		const maximum = mostSteps(sampler, model.steps.max)
		// Beyond the model's own limit, the field itself has said so.
		if (steps > maximum && steps <= model.steps.max) {
			const message = `Too many steps for ${sampler}`
			issues.push({ code: 'too_big', origin: 'number', maximum, inclusive: true, path: ['steps'], input: steps, message })
		}
		if (eta !== null && sampler !== 'ddim') {
			issues.push({ code: 'custom', path: ['eta'], input: eta, message: 'null: only the sampler "ddim" has it' })
		}
	})
}

export const Status = z.enum(['queued', 'processing', 'succeeded', 'failed', 'canceled', 'expired'])
export type Status = z.infer<typeof Status>
export const isTerminal = (status: Status): boolean => status !== 'queued' && status !== 'processing'

const Time = z.iso.datetime()

/** A delivered picture. */
export const Picture = z.strictObject({
	n: z.int().min(0),
	/** A signed URL that needs no key; it stops working at `expires_at`. Asking for the generation again signs a new one. */
	url: z.url(),
	expires_at: Time,
	content_type: z.string(),
	width: z.int(),
	height: z.int(),
	seed: Seed,
	/** Bytes. */
	size: z.int()
})
export type Picture = z.infer<typeof Picture>

/** `GET /v1/generations/{id}`. */
export const Generation = z.strictObject({
	id: z.string(),
	status: Status,
	request: ResolvedRequest,
	/** U-Net evaluations done and asked for, summed over the pictures; present while it is processing. */
	progress: z.strictObject({ done: z.int(), total: z.int() }).nullable(),
	images: z.array(Picture),
	/** Milliseconds inside ONNX Runtime on behalf of this generation; present once it has succeeded. */
	metrics: z.strictObject({ inference_ms: z.number() }).nullable(),
	error: Problem.pick({ type: true, title: true, detail: true }).nullable(),
	created_at: Time,
	started_at: Time.nullable(),
	completed_at: Time.nullable()
})
export type Generation = z.infer<typeof Generation>
