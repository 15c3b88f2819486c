import { z } from 'zod'
import type { Model } from '../catalog.ts'
import { type Size, UploadId } from '../inputs.ts'
import { defaultQuality, OutputFormat } from '../outputs.ts'
import { mostSteps, SamplerName } from '../samplers.ts'
import { sizeOf } from '../size.ts'
import { Task } from '../tasks.ts'
import { Box, GenerationRequest, type ResolvedRequest, Seed } from './generation.ts'

/** A request's task: the one that it names, or what its other fields mean for this model. */
export function taskOf({ tasks }: Model, body: Readonly<Record<string, unknown>>): Task {
	const named = Task.options.find((task) => task === body.task)
	if (named) {
		return named
	}
	const has = (field: keyof GenerationRequest) => body[field] !== undefined && body[field] !== null
	if (has('mask')) {
		return 'inpainting'
	}
	if (has('semantic_map')) {
		return 'semantic-synthesis'
	}
	if (has('layout')) {
		return 'layout-to-image'
	}
	if (has('class_label')) {
		return 'class-conditional'
	}
	if (has('image')) {
		return tasks['super-resolution'] && !tasks['image-to-image'] ? 'super-resolution' : 'image-to-image'
	}
	return tasks.unconditional && !tasks['text-to-image'] ? 'unconditional' : 'text-to-image'
}

interface Options {
	/** Text-to-image by default; see `taskOf`. */
	readonly task?: Task
	/** Of `image`, `semantic_map` or `control_image`, upright, once it is known. */
	readonly image?: Size | undefined
	/** Whether inputs must be uploads by now. */
	readonly stored?: boolean
}

/**
 * A request within one model's limits, with every default filled in. It has the fields of its task and no others; issues carry the field's
 * path. A task that the model cannot do is refused by the fields of one that it can.
 */
export function requestFor(model: Model, options: Options = {}): z.ZodType<ResolvedRequest> {
	const { task: asked = 'text-to-image', image, stored = true } = options
	const able = Object.keys(model.tasks) as [Task, ...Task[]]
	const task = model.tasks[asked] ? asked : able[0]
	const { width, height } = sizeOf(model, task, image)
	const { min, max, multiple } = model.size
	const side = (pixels: number) =>
		(task === 'super-resolution' && image ? z.literal(pixels) : z.int().min(min).max(max).multipleOf(multiple)).default(pixels)
	const refusal = `Not a field of ${task} by ${JSON.stringify(model.id)}, which can do ${able.join(', ')}`
	const schema = z.strictObject(
		{
			model: z.string(),
			task: z.enum(able).default(task),
			...textFields(model, task),
			...taskFields(model, task, stored),
			...controlFields(model, stored),
			width: side(width),
			height: side(height),
			steps: z.int().min(model.steps.min).max(model.steps.max).default(model.steps.default),
			guidance: z.number().min(model.guidance.min).max(model.guidance.max).default(model.guidance.default),
			guidance_rescale: GenerationRequest.shape.guidance_rescale.unwrap().default(0),
			sampler: (model.samplers.length > 0 ? SamplerName.extract(model.samplers).nullable() : z.null()).default(null),
			eta: GenerationRequest.shape.eta.unwrap().default(null),
			seed: Seed.default(() => crypto.getRandomValues(new Uint32Array(1))[0] as number),
			count: z.int().min(1).max(model.count.max).default(model.count.default),
			output_format: OutputFormat.default('png'),
			output_quality: GenerationRequest.shape.output_quality.unwrap().default(null),
			partial_images: GenerationRequest.shape.partial_images.unwrap().unwrap().default(0)
		},
		{ error: ({ code }) => (code === 'unrecognized_keys' ? refusal : undefined) }
	)
	// Which fields the shape has, is known at run time alone; each is what ResolvedRequest says.
	return (schema as unknown as z.ZodType<ResolvedRequest>)
		.check(checkTogether(model))
		.overwrite((request) => withControl(model, withQuality(request)))
}

function textFields({ prompt }: Model, task: Task) {
	const text = z.string().trim().max(prompt.max)
	return {
		// A text is all that text-to-image has to go by.
		prompt: task === 'text-to-image' ? text.min(1) : text.default(''),
		...(prompt.negative && { negative_prompt: z.string().max(prompt.max).nullable().default(null) })
	}
}

function taskFields({ tasks }: Model, task: Task, stored: boolean) {
	const input = stored ? UploadId : z.string().min(1)
	const { shape } = GenerationRequest
	const strength = (value: number) => ({ strength: shape.strength.unwrap().unwrap().default(value) })
	switch (task) {
		case 'image-to-image': {
			const { strength: value, image_guidance: guidance } = tasks[task]!
			return {
				image: input,
				...(value !== undefined && strength(value)),
				...(guidance && { image_guidance: z.number().min(1).max(guidance.max).default(guidance.default) })
			}
		}
		case 'inpainting': {
			const { strength: value } = tasks[task]!
			return { image: input, mask: input, ...(value !== undefined && strength(value)) }
		}
		case 'super-resolution': {
			const { noise_level: level } = tasks[task]!
			return { image: input, ...(level && { noise_level: z.int().min(0).max(level.max).default(level.default) }) }
		}
		case 'class-conditional':
			return { class_label: numbered('class', tasks[task]!.classes) }
		case 'layout-to-image': {
			const { labels, max } = tasks[task]!
			const box = z.strictObject({ label: numbered('label', labels), box: Box })
			return { layout: z.array(box).min(1).max(max) }
		}
		case 'semantic-synthesis':
			return { semantic_map: input }
		default:
			return {}
	}
}

function controlFields({ control }: Model, stored: boolean) {
	const input = stored ? UploadId : z.string().min(1)
	const { control_start, control_end } = GenerationRequest.shape
	return (
		control && {
			control_image: input.optional(),
			control_scale: z.number().min(0).max(control.max).optional(),
			control_start: control_start.unwrap().unwrap().optional(),
			control_end: control_end.unwrap().unwrap().optional()
		}
	)
}

/** A name or a number, as the number. */
function numbered(what: string, names: readonly string[]) {
	return z.unknown().transform((label, { issues, value }) => {
		const number = typeof label === 'string' ? names.indexOf(label) : label
		if (typeof number === 'number' && Number.isInteger(number) && names[number] !== undefined) {
			return number
		}
		const message = `a ${what} of the model by its name, which GET /v1/models tells, or by its number from 0 to ${names.length - 1}`
		issues.push({ code: 'custom', input: value, message })
		return z.NEVER
	})
}

/** What holds between fields. */
const checkTogether =
	(model: Model): z.core.CheckFn<ResolvedRequest> =>
	({ value, issues }) => {
		const { task, sampler = null, steps, eta, strength, output_format, output_quality } = value
		const refuse = (field: keyof ResolvedRequest, message: string) =>
			issues.push({ code: 'custom', path: [field], input: value[field], message })
		const original = task === 'image-to-image' ? model.tasks[task]?.original_steps : undefined
		const maximum = mostSteps(sampler, model.steps.max)
		// Beyond the model's own limit, the field itself has said so.
		if (steps > maximum && steps <= model.steps.max) {
			refuse('steps', `at most ${maximum} with "${sampler}", each of whose steps is two`)
		}
		if (eta !== null && sampler !== 'ddim') {
			refuse('eta', 'null: only the sampler "ddim" has it')
		}
		const [walk, needed] = original === undefined ? [steps, 1] : [original, steps]
		if (strength !== undefined && steps <= model.steps.max && left(walk, strength) < needed) {
			// Told with the strength, which may be the model's own.
			const few =
				original === undefined
					? `${strength} of ${steps} steps is not one`
					: `${strength} of ${walk} steps is fewer than ${steps}`
			refuse('strength', `at least ${leastStrength(walk, needed)}: ${few}`)
		}
		for (const field of ['control_scale', 'control_start', 'control_end'] as const) {
			if (value.control_image === undefined && value[field] !== undefined) {
				refuse(field, `none: there is no control_image, whose ${field.slice('control_'.length)} it is`)
			}
		}
		const { control_start: start = 0, control_end: end = 1 } = value
		if (start >= end) {
			value.control_end === undefined
				? refuse('control_start', `less than control_end, which is ${end}`)
				: refuse('control_end', `more than control_start, which is ${start}`)
		}
		if (output_quality !== null && output_format === 'png') {
			refuse('output_quality', 'null: PNG loses nothing')
		}
	}

/** Steps of `walk` that a strength leaves, as diffusers counts them. */
const left = (walk: number, strength: number): number => Math.floor(walk * strength)

/** The least strength, in four places, that leaves `needed` of them. */
function leastStrength(walk: number, needed: number): number {
	let parts = Math.ceil((10_000 * needed) / walk)
	while (left(walk, parts / 10_000) < needed) {
		parts++
	}
	return parts / 10_000
}

const withQuality = (request: ResolvedRequest): ResolvedRequest => {
	const { output_format = 'png', output_quality } = request
	return output_format === 'png' ? request : { ...request, output_quality: output_quality ?? defaultQuality[output_format] }
}

const withControl = ({ control }: Model, request: ResolvedRequest): ResolvedRequest =>
	control && request.control_image !== undefined
		? {
				...request,
				control_scale: request.control_scale ?? control.default,
				control_start: request.control_start ?? 0,
				control_end: request.control_end ?? 1
			}
		: request
