import { findModel } from '../../../shared/catalog.ts'
import type { ResolvedRequest } from '../../../shared/contract/generation.ts'
import type { SamplerName } from '../../../shared/samplers.ts'
import { describe } from '../../issues.ts'
import { refuse } from '../../refuse.ts'
import { asOrder, onlyImage } from '../images.ts'
import { sizeIn, sizeOfRatio } from '../size.ts'
import { uploadIn } from './files.ts'

/** Native fields by the names that most models on Replicate have for them. */
const names = new Map<string, string>([
	['control_end', 'control_guidance_end'],
	['control_scale', 'condition_scale'],
	['control_start', 'control_guidance_start'],
	['count', 'num_outputs'],
	['guidance', 'guidance_scale'],
	['image_guidance', 'image_guidance_scale'],
	['sampler', 'scheduler'],
	['steps', 'num_inference_steps'],
	['strength', 'prompt_strength']
] satisfies [keyof ResolvedRequest, string][])
const nativeNames = new Map([...names].map(([native, theirs]) => [theirs, native]))
	.set('cfg', 'guidance')
	.set('input_image', 'image')
	.set('image_cfg_scale', 'image_guidance')
	.set('controlnet_conditioning_scale', 'control_scale')
/** Of models that take several images. */
const lists = new Set(['image_input', 'images', 'input_images'])

const schedulers = new Map<unknown, SamplerName>([
	['DDIM', 'ddim'],
	['DDPM', 'ddpm'],
	['DPMSolverMultistep', 'dpm++-2m'],
	['HeunDiscrete', 'heun'],
	['KarrasDPM', 'dpm++-2m-karras'],
	['K_EULER', 'euler'],
	['K_EULER_ANCESTRAL', 'euler-ancestral'],
	['KLMS', 'lms'],
	['LCM', 'lcm'],
	['PNDM', 'pndm'],
	['UniPCMultistep', 'unipc']
])

/** Of common inputs, those that mean nothing here. */
const meaningless = new Set([
	'apply_watermark',
	'disable_safety_checker',
	'go_fast',
	'megapixels',
	'prompt_upsampling',
	'safety_tolerance'
])

/** A prediction's `input` for a model as fields of a native request; under which names of theirs or ours does not matter. */
export function toNative(model: string, input: Readonly<Record<string, unknown>>): Record<string, unknown> {
	const fields = Object.entries(input).flatMap(([name, value]) =>
		value === null || (value === '' && name !== 'prompt') || meaningless.has(name) ? [] : translated(model, name, value)
	)
	const native = asOrder('/input/image', fields)
	// Passed over there, where programs send every field that has a default: of PNG a quality, and without an image how much of it is drawn anew.
	return {
		...native,
		...((native.output_format ?? 'png') === 'png' && { output_quality: null }),
		...(native.image === undefined && { strength: null })
	}
}

/** One of its fields as those that it means here. */
function translated(id: string, name: string, value: unknown): [string, unknown][] {
	if (lists.has(name)) {
		return onlyImage(`/input/${name}`, value).map((image) => ['image', native(name, image) ?? image])
	}
	const model = findModel(id)
	if (name === 'size') {
		return Object.entries(sizeIn(value) ?? refuse('/input/size', 'a size such as 512x768', describe(value)))
	}
	if (name === 'aspect_ratio' && (value === 'custom' || value === 'match_input_image')) {
		return []
	}
	if (name === 'aspect_ratio' && model) {
		return Object.entries(sizeOfRatio(model, value, '/input/aspect_ratio'))
	}
	return [[nativeNames.get(name) ?? name, native(name, value) ?? value]]
}

function native(name: string, value: unknown): unknown {
	switch (name) {
		case 'scheduler':
			return schedulers.get(value)
		case 'output_format':
			return value === 'jpg' ? 'jpeg' : value
		default:
			return uploadIn(value)
	}
}

/** A request as the `input` that it may have come from, every default filled in. */
export function fromNative({ model: _, ...fields }: ResolvedRequest): Record<string, unknown> {
	return Object.fromEntries(Object.entries(fields).map(([name, value]) => [theirName(name), value]))
}

/** A native field by the name that it has here. */
export const theirName = (field: string): string => names.get(field) ?? field
