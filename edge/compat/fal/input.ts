import { uploadIn } from './storage.ts'

const sizes: Record<string, { width: number; height: number }> = {
	square_hd: { width: 1024, height: 1024 },
	square: { width: 512, height: 512 },
	portrait_4_3: { width: 768, height: 1024 },
	portrait_16_9: { width: 576, height: 1024 },
	landscape_4_3: { width: 1024, height: 768 },
	landscape_16_9: { width: 1024, height: 576 }
}

const names: Record<string, string> = {
	guidance_scale: 'guidance',
	image_url: 'image',
	mask_url: 'mask',
	num_images: 'count',
	num_inference_steps: 'steps'
}

/** Of common inputs, those that mean nothing here. */
const meaningless = new Set(['enable_safety_checker', 'sync_mode', 'safety_tolerance', 'enable_prompt_expansion', 'acceleration'])

/** fal's input as fields of a native request; what it does not know stays as it is, for the native API to judge. */
export function toNative(input: Readonly<Record<string, unknown>>): Record<string, unknown> {
	const { image_size: size, ...others } = input
	const fields = Object.entries(others).filter(([name, value]) => value !== null && !meaningless.has(name))
	return { ...sizeOf(size), ...Object.fromEntries(fields.map(([name, value]) => [names[name] ?? name, uploadIn(value)])) }
}

function sizeOf(size: unknown): Record<string, unknown> {
	if (typeof size === 'string') {
		return sizes[size] ?? { image_size: size }
	}
	return typeof size === 'object' ? { ...size } : {}
}

/** A native field by fal's name. */
export const theirName = (field: string): string => Object.entries(names).find(([, native]) => native === field)?.[0] ?? field
