import { findModel } from '../../../shared/catalog.ts'
import type { Size } from '../../../shared/inputs.ts'
import { describe } from '../../issues.ts'
import { refuse } from '../../refuse.ts'
import { asOrder, onlyImage } from '../images.ts'
import { nearestSize, sizeOfRatio } from '../size.ts'
import { uploadIn } from './storage.ts'

/** Names of sizes, as models of about a megapixel have them. */
const sizes = new Map<unknown, Size>([
	['square_hd', { width: 1024, height: 1024 }],
	['square', { width: 512, height: 512 }],
	['portrait_4_3', { width: 768, height: 1024 }],
	['portrait_16_9', { width: 576, height: 1024 }],
	['landscape_4_3', { width: 1024, height: 768 }],
	['landscape_16_9', { width: 1024, height: 576 }]
])

const names = new Map([
	['control_guidance_end', 'control_end'],
	['control_guidance_start', 'control_start'],
	['control_image_url', 'control_image'],
	['controlnet_conditioning_scale', 'control_scale'],
	['guidance_scale', 'guidance'],
	['image_guidance_scale', 'image_guidance'],
	['image_url', 'image'],
	['mask_url', 'mask'],
	['num_images', 'count'],
	['num_inference_steps', 'steps'],
	['scheduler', 'sampler']
])
const theirNames = new Map([...names].map(([theirs, native]) => [native, theirs]))
/** As their Stable Diffusion has them (fal-ai/lora, fal-ai/fast-sdxl). */
names.set('format', 'output_format').set('image_format', 'output_format').set('noise_strength', 'strength')

/** Of common inputs, those that mean nothing to an order: `sync_mode` says how the answer is to look. */
const meaningless = new Set([
	'acceleration',
	'enable_prompt_expansion',
	'enable_safety_checker',
	'expand_prompt',
	'safety_checker_version',
	'safety_tolerance',
	'sync_mode'
])

/** fal's input for a model as fields of a native request; what it does not know stays as it is, for the native API to judge. */
export function toNative(model: string, input: Readonly<Record<string, unknown>>): Record<string, unknown> {
	const isNone = (value: unknown) => value === null || (Array.isArray(value) && value.length === 0)
	const fields = Object.entries(input).flatMap(([name, value]) =>
		isNone(value) || meaningless.has(name) ? [] : translated(model, name, value)
	)
	return asOrder('/image', fields)
}

/** One of its fields as those that it means here. */
function translated(id: string, name: string, value: unknown): [string, unknown][] {
	if (name === 'image_urls') {
		return onlyImage('/image_urls', value).map((image) => ['image', uploadIn(image)])
	}
	if ((name === 'image_size' || name === 'aspect_ratio') && value === 'auto') {
		return []
	}
	const model = findModel(id)
	const named = name === 'image_size' ? sizes.get(value) : undefined
	const size =
		name === 'image_size' && typeof value === 'object' && !Array.isArray(value)
			? value
			: model &&
				(named ? nearestSize(model, named) : name === 'aspect_ratio' ? sizeOfRatio(model, value, '/aspect_ratio') : undefined)
	if (name === 'image_size' && model && !size) {
		return refuse('/image_size', `${[...sizes.keys()].join(', ')} or { "width", "height" }`, describe(value))
	}
	return size ? Object.entries(size) : [[names.get(name) ?? name, name === 'scheduler' ? samplerIn(value) : uploadIn(value)]]
}

/** `DPM++ 2M Karras` as we call it. */
const samplerIn = (value: unknown): unknown =>
	typeof value === 'string'
		? value
				.toLowerCase()
				.replaceAll(' ', '-')
				.replace(/^euler-a$/, 'euler-ancestral')
		: value

/** Where a native field is among fal's. */
export const theirPath = (field: string): string[] =>
	field === 'width' || field === 'height' ? ['image_size', field] : [theirNames.get(field) ?? field]
