import type { ResolvedRequest } from '../../../shared/contract/generation.ts'
import type { SamplerName } from '../../../shared/samplers.ts'
import { uploadIn } from './files.ts'

/** Native fields by the names that most models on Replicate have for them. */
const names: Partial<Record<keyof ResolvedRequest, string>> = {
	count: 'num_outputs',
	guidance: 'guidance_scale',
	sampler: 'scheduler',
	steps: 'num_inference_steps',
	strength: 'prompt_strength'
}
const nativeNames = new Map(Object.entries(names).map(([native, theirs]) => [theirs, native]))

const schedulers: Record<string, SamplerName> = {
	DDIM: 'ddim',
	DDPM: 'ddpm',
	DPMSolverMultistep: 'dpm++-2m',
	HeunDiscrete: 'heun',
	KarrasDPM: 'dpm++-2m-karras',
	K_EULER: 'euler',
	K_EULER_ANCESTRAL: 'euler-ancestral',
	KLMS: 'lms',
	LCM: 'lcm',
	PNDM: 'pndm',
	UniPCMultistep: 'unipc'
}

/** Of common inputs, those that mean nothing here. */
const meaningless = new Set(['apply_watermark', 'disable_safety_checker'])

/** A prediction's `input` as fields of a native request; under which names of theirs or ours does not matter. */
export function toNative(input: Readonly<Record<string, unknown>>): Record<string, unknown> {
	const fields = Object.entries(input).filter(([name, value]) => value !== null && value !== '' && !meaningless.has(name))
	return Object.fromEntries(fields.map(([name, value]) => [nativeNames.get(name) ?? name, translated(name, value)]))
}

function translated(name: string, value: unknown): unknown {
	if (name === 'scheduler' && typeof value === 'string') {
		return schedulers[value] ?? value
	}
	return name === 'output_format' && value === 'jpg' ? 'jpeg' : (uploadIn(value) ?? value)
}

/** A request as the `input` that it may have come from, every default filled in. */
export function fromNative({ model: _, ...fields }: ResolvedRequest): Record<string, unknown> {
	return Object.fromEntries(Object.entries(fields).map(([name, value]) => [theirName(name), value]))
}

/** A native field by the name that it has here. */
export const theirName = (field: string): string => names[field as keyof ResolvedRequest] ?? field
