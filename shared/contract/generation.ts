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

/** Of one generation, whatever a model's catalog entry allows. */
export const mostPictures = 64

const Text = z.string().max(10_000)
/** The name, or the number, of what a model knows by both; see its tasks in the catalog. */
const Label = z.union([z.string().min(1).max(200), z.int().min(0)])
const Part = z.number().min(0).max(1)

/** An input: the id of an upload, a `data:` URI, or an https URL. */
const Input = z.string().min(1)

/** [x0, y0, x1, y1] in parts of the picture, from its top left corner. */
export const Box = z
	.array(Part)
	.min(4)
	.max(4)
	.refine(([x0, y0, x1, y1]) => x0! < x1! && y0! < y1!, 'a box [x0, y0, x1, y1] with x0 < x1 and y0 < y1')

/** `POST /v1/generations`: what a client may ask for. The catalog narrows it for each model and task; null is as good as absent. */
export const GenerationRequest = z.strictObject({
	model: z.string().min(1).max(64).describe('An id from `GET /v1/models`, which also lists its limits.'),
	task: Task.nullish().describe(
		'Where absent, it follows from the other fields: with a `mask` inpainting, with an `image` alone image-to-image, and so on.'
	),
	prompt: Text.trim().optional().describe('What to draw.'),
	negative_prompt: Text.nullish().describe(
		'What to keep away from, with guidance. Null, or absent, differs from an empty one in models such as SDXL.'
	),
	image: Input.nullish().describe('Where to start from, or what to enlarge: the id of an upload, a `data:` URI or an https URL.'),
	mask: Input.nullish().describe('White (or transparent, in a picture that has transparent parts) is drawn anew.'),
	semantic_map: Input.nullish().describe("A picture in the colours of the model's classes."),
	control_image: Input.nullish().describe(
		'A map that steers a model with a ControlNet: edges, depths, a pose, whatever it was trained with.'
	),
	layout: z
		.array(z.strictObject({ label: Label, box: Box }))
		.min(1)
		.max(100)
		.nullish()
		.describe('Boxes to fill: `[x0, y0, x1, y1]` in parts of the picture from its top left corner.'),
	class_label: Label.nullish().describe('A class of the model, by name or number.'),
	strength: Part.nullish().describe('How much of `image` is drawn anew: enough for one step at least, up to all of it (1).'),
	image_guidance: z
		.number()
		.min(1)
		.nullish()
		.describe('How closely a model that is guided by an image too keeps to it: s_I of Brooks et al. (2023), eq. 3.'),
	control_scale: z
		.number()
		.min(0)
		.nullish()
		.describe('How strongly `control_image` steers: 1 as the ControlNet was trained, 0 not at all.'),
	control_start: Part.nullish().describe(
		'When `control_image` begins to steer, in parts of the way from noise (0, and where it is absent) to the picture.'
	),
	control_end: Part.nullish().describe('When it ceases to steer, in the same parts: 1 where it is absent.'),
	noise_level: z.int().min(0).nullish().describe('How much noise the upscaler adds to the image, as a timestep.'),
	width: z.int().min(1).optional().describe("Pixels. With an `image` or a map its own size, in the model's multiples."),
	height: z.int().min(1).optional().describe('Pixels, as `width`.'),
	steps: z
		.int()
		.min(1)
		.optional()
		.describe("From noise to picture. With `heun`, each of whose steps is two, up to half of the model's most."),
	guidance: z.number().min(0).optional().describe('Classifier-free guidance scale; 1 and below draw without guidance.'),
	guidance_rescale: Part.optional().describe(
		'φ of Lin et al. (2024), §3.4: how far guided pictures are brought back to the contrast of unguided ones.'
	),
	sampler: SamplerName.nullable()
		.optional()
		.describe("How the latent is walked from noise to picture; the model's own way when null."),
	eta: z
		.number()
		.min(0)
		.max(1)
		.nullable()
		.optional()
		.describe("DDIM's η: how much noise its steps add, from none (0, and when null) to as much as DDPM's (1)."),
	seed: Seed.optional().describe('Picture i uses seed + i; after 4294967295 comes 0. Drawn at random when absent.'),
	count: z.int().min(1).optional().describe('How many pictures.'),
	output_format: OutputFormat.optional().describe('Of the pictures; `png` where it is absent.'),
	output_quality: z
		.int()
		.min(1)
		.max(100)
		.nullish()
		.describe('Of webp, jpeg and avif: the higher, the larger the file and the closer to what was drawn.'),
	partial_images: z
		.int()
		.min(0)
		.max(3)
		.nullish()
		.describe(
			'How often each picture is shown on its way, decoded in full and evenly over its steps; fewer where it has fewer steps.'
		)
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
	control_image: UploadId.optional(),
	layout: z
		.array(z.strictObject({ label: z.int(), box: Box }))
		.optional()
		.describe('Labels by number.'),
	class_label: z.int().optional(),
	strength: Part.optional(),
	image_guidance: z.number().optional(),
	control_scale: z.number().optional(),
	control_start: Part.optional(),
	control_end: Part.optional(),
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
	url: z
		.url()
		.describe(
			'A signed URL that needs no key; it stops working at `expires_at`. Asking for the generation later signs a new one.'
		),
	expires_at: Time,
	content_type: z.string(),
	width: z.int(),
	height: z.int(),
	seed: Seed,
	size: z.int().describe('Bytes.')
})
export type Picture = z.infer<typeof Picture>

/** What a client should know though nothing failed: a prompt that was cut off, an image that was cropped. */
export const Warning = z.strictObject({ code: z.string().max(64), detail: z.string().max(1000) })
export type Warning = z.infer<typeof Warning>

/** Where a queued generation stands in its model's line. */
export const Standing = z.strictObject({
	position: z.int().min(0).describe('How many are ahead of it; from 1,000 on, at least so many.'),
	eta: z
		.int()
		.min(0)
		.nullable()
		.describe(
			'Seconds until it is likely to begin, by how fast the line got shorter in the last half minute; null where nobody knows.'
		)
})
export type Standing = z.infer<typeof Standing>

/** `GET /v1/generations/{id}`. */
export const Generation = z.strictObject({
	id: z.string(),
	status: Status,
	queue: Standing.optional().describe(
		'Where it stands while it waits; told of a generation that is asked for by itself, not in lists.'
	),
	request: ResolvedRequest,
	progress: z
		.strictObject({ done: z.int(), total: z.int() })
		.nullable()
		.describe('U-Net evaluations done and asked for, summed over the pictures; present while it is processing.'),
	images: z.array(Picture),
	warnings: z.array(Warning),
	metrics: z
		.strictObject({ inference_ms: z.number() })
		.nullable()
		.describe('Milliseconds inside ONNX Runtime on behalf of this generation; present once it has succeeded.'),
	error: Problem.pick({ type: true, title: true, detail: true }).nullable(),
	cost: Cost,
	priority: Priority,
	deadline: Time.nullable().describe('When it expires, if it has not ended by then.'),
	start_deadline: Time.nullable().describe('When it expires, if no node has started it by then.'),
	created_at: Time,
	started_at: Time.nullable(),
	completed_at: Time.nullable(),
	removed_at: Time.nullable().describe(
		"When its pictures were removed from storage, after the days that the account's plan keeps them."
	)
})
export type Generation = z.infer<typeof Generation>
