import { z } from 'zod'
import { UploadId } from '../inputs.ts'
import { OutputFormat } from '../outputs.ts'
import { SamplerName } from '../samplers.ts'
import { Task } from '../tasks.ts'
import { Cost } from './account.ts'
import { Problem } from './problem.ts'
import { Priority } from './terms.ts'

/** Seeds are uint32: the low 32 bits are all that torch's CPU generator takes from one. */
export const Seed = z.int().min(0).max(0xffff_ffff)

const Text = z.string().max(10_000)
/** The name, or the number, of what a model knows by both; see its tasks in the catalog. */
const Label = z.union([z.string().min(1).max(200), z.int().min(0)])
const Part = z.number().min(0).max(1)

/** An input: the id of an upload, a `data:` URI, or an https URL. */
const Input = z.string().min(1)

/** [x0, y0, x1, y1] in parts of the picture, from its top left corner. */
export const Box = z
	.array(Part)
	.length(4)
	.refine(([x0, y0, x1, y1]) => x0! < x1! && y0! < y1!, 'a box [x0, y0, x1, y1] with x0 < x1 and y0 < y1')

/** `POST /v1/generations`: what a client may ask for. The catalog narrows it for each model and task; null is as good as absent. */
export const GenerationRequest = z.strictObject({
	model: z.string().min(1).max(64),
	/** What the other fields say where it is absent: with a `mask` inpainting, with an `image` alone image-to-image, and so on. */
	task: Task.nullish(),
	prompt: Text.trim().optional(),
	/** Null, or absent, differs from an empty one in models such as SDXL. */
	negative_prompt: Text.nullish(),
	/** Where to start from, or what to enlarge. */
	image: Input.nullish(),
	/** White (or transparent, in a picture that has transparent parts) is drawn anew. */
	mask: Input.nullish(),
	/** A picture in the colours of the model's classes. */
	semantic_map: Input.nullish(),
	layout: z
		.array(z.strictObject({ label: Label, box: Box }))
		.min(1)
		.max(100)
		.nullish(),
	class_label: Label.nullish(),
	/** How much of `image` is drawn anew: from nothing (0) to all of it (1). */
	strength: Part.nullish(),
	/** How much noise the upscaler adds to the image, as a timestep. */
	noise_level: z.int().min(0).nullish(),
	/** Pixels. With an `image` or a map its own size, in the model's multiples. */
	width: z.int().min(1).optional(),
	height: z.int().min(1).optional(),
	steps: z.int().min(1).optional(),
	/** Classifier-free guidance scale; 1 and below draw without guidance. */
	guidance: z.number().min(0).optional(),
	/** φ of Lin et al. (2024), §3.4: how far guided pictures are brought back to the contrast of unguided ones. */
	guidance_rescale: Part.optional(),
	/** How the latent is walked from noise to picture; the model's own way when null. */
	sampler: SamplerName.nullable().optional(),
	/** DDIM's η: how much noise its steps add, from none (0, and when null) to as much as DDPM's (1). */
	eta: z.number().min(0).max(1).nullable().optional(),
	/** Picture i uses seed + i. Drawn at random when absent. */
	seed: Seed.optional(),
	count: z.int().min(1).optional(),
	output_format: OutputFormat.optional(),
	/** Of webp, jpeg and avif: the higher, the larger and the more alike. */
	output_quality: z.int().min(1).max(100).nullish(),
	/** How often each picture is shown on its way, decoded in full and evenly over its steps; fewer where it has no more steps. */
	partial_images: z.int().min(0).max(3).nullish()
})
export type GenerationRequest = z.infer<typeof GenerationRequest>

/**
 * A request with every default filled in, and its inputs stored under ids of ours: the same one, posted again, draws the same pictures.
 * Fields that its task does not have are absent, as are younger fields in older requests. A null `sampler` stays null, for it is the model's
 * own, which is more than a name: its scheduler's class and all its settings. It changes only as weights do, with the model.
 */
export const ResolvedRequest = GenerationRequest.extend({
	prompt: z.string(),
	image: UploadId.optional(),
	mask: UploadId.optional(),
	semantic_map: UploadId.optional(),
	/** Labels by number. */
	layout: z.array(z.strictObject({ label: z.int(), box: Box })).optional(),
	class_label: z.int().optional(),
	strength: Part.optional(),
	noise_level: z.int().optional(),
	width: z.int(),
	height: z.int(),
	steps: z.int(),
	guidance: z.number(),
	seed: Seed,
	count: z.int()
})
export type ResolvedRequest = z.infer<typeof ResolvedRequest>

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

/** What a client should know though nothing failed: a prompt that was cut off, an image that was cropped. */
export const Warning = z.strictObject({ code: z.string().max(64), detail: z.string().max(1000) })
export type Warning = z.infer<typeof Warning>

/** Where a queued generation stands in its model's line. */
export const Standing = z.strictObject({
	/** How many are ahead of it; from 1,000 on, at least so many. */
	position: z.int().min(0),
	/** Seconds until it is likely to begin, by how fast the line got shorter in the last half minute; null where nobody knows. */
	eta: z.int().min(0).nullable()
})
export type Standing = z.infer<typeof Standing>

/** `GET /v1/generations/{id}`. */
export const Generation = z.strictObject({
	id: z.string(),
	status: Status,
	/** Told of one generation that waits in the queue, where it was asked for by itself. */
	queue: Standing.optional(),
	request: ResolvedRequest,
	/** U-Net evaluations done and asked for, summed over the pictures; present while it is processing. */
	progress: z.strictObject({ done: z.int(), total: z.int() }).nullable(),
	images: z.array(Picture),
	warnings: z.array(Warning),
	/** Milliseconds inside ONNX Runtime on behalf of this generation; present once it has succeeded. */
	metrics: z.strictObject({ inference_ms: z.number() }).nullable(),
	error: Problem.pick({ type: true, title: true, detail: true }).nullable(),
	cost: Cost,
	priority: Priority,
	/** When it expires, if it has not ended by then. */
	deadline: Time.nullable(),
	/** When it expires, if no node has started it by then. */
	start_deadline: Time.nullable(),
	created_at: Time,
	started_at: Time.nullable(),
	completed_at: Time.nullable(),
	/** When its pictures were removed from storage, after the days that the account's plan keeps them. */
	removed_at: Time.nullable()
})
export type Generation = z.infer<typeof Generation>
