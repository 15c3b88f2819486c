import path from 'node:path'
import { z } from 'zod'
import { parseConfig, readJson } from '../../onnx/config.ts'
import { combine } from './combine.ts'
import type { SamplerChoice } from './load.ts'
import type { Sampler } from './sampler.ts'
import { f, notImplemented, TrainTimesteps } from './schedule.ts'
import { atMostOneRespacing, RespacingConfig, respace } from './sigmas.ts'
import { assertSteps, linspace } from './timesteps.ts'

const CLASS = 'FlowMatchEulerDiscreteScheduler'

const FlowMatchConfig = z
	.object({
		...RespacingConfig.shape,
		_class_name: z.literal(CLASS, { error: ({ input }) => `expected ${CLASS}, got ${input}` }),
		num_train_timesteps: TrainTimesteps,
		shift: z.number().positive().default(1),
		use_dynamic_shifting: z.boolean().default(false),
		base_shift: z.number().default(0.5),
		max_shift: z.number().default(1.15),
		base_image_seq_len: z.int().min(1).default(256),
		max_image_seq_len: z.int().min(1).default(4096),
		time_shift_type: z.enum(['exponential', 'linear']).default('exponential'),
		shift_terminal: z.number().nullish(),
		stochastic_sampling: z.boolean().default(false),
		invert_sigmas: notImplemented
	})
	.refine(...atMostOneRespacing)
	.refine(
		({ base_image_seq_len: base, max_image_seq_len: max }) => base !== max,
		'expected max_image_seq_len other than base_image_seq_len'
	)
type FlowMatchConfig = z.infer<typeof FlowMatchConfig>

/** @param patches of the latent, as its transformer counts them: what `use_dynamic_shifting` goes by */
export type FlowFor = (choice: Pick<SamplerChoice, 'steps' | 'sampler'>, patches: number) => Sampler

/** Noise levels to stand at, from 1 down, which a pipeline hands in to be shifted. */
type Levels = (steps: number) => Float64Array

/** The sampler of a folder with a `scheduler_config.json`, for models that were trained as flows. There is one, which requests may call `euler`. */
export async function loadFlow(folder: string, levels?: Levels): Promise<FlowFor> {
	const file = path.join(folder, 'scheduler_config.json')
	return flowOf(file, await readJson(file), levels)
}

/**
 * @param file what errors name
 * @param levels where not those from the most to the least noise of training
 */
export function flowOf(file: string, json: unknown, levels?: Levels): FlowFor {
	const config = parseConfig(file, json, FlowMatchConfig)
	return ({ steps, sampler }, patches) => {
		if (sampler && sampler !== 'euler') {
			throw new RangeError(`sampler: expected euler, the one for a model that was trained as a flow, or null, got ${sampler}`)
		}
		return flowMatchEuler(config, steps, patches, levels?.(steps))
	}
}

/**
 * Euler's method along a rectified flow (Esser et al., 2024, §2 and 3.1): x_σ = (1 − σ) x_0 + σ ε is a straight line, and the network answers its
 * direction, v = ε − x_0.
 */
function flowMatchEuler(config: FlowMatchConfig, steps: number, patches: number, handed?: Float64Array): Sampler<null> {
	assertSteps(steps, config.num_train_timesteps)
	const sigmas = Float32Array.from([...levelsOf(config, steps, patches, handed), 0])
	const falls = sigmas.every((sigma, k) => k === 0 || (sigma <= sigmas[k - 1]! && (sigma > 0 || k === steps)))
	if (!falls) {
		const among = Array.from(sigmas.subarray(0, -1), (sigma) => sigma.toPrecision(3)).join(', ')
		throw new RangeError(
			`steps: expected so many that the scheduler's noise levels fall and stay above 0, got ${steps}: ${among}`
		)
	}

	return {
		timesteps: Array.from(sigmas.subarray(0, -1), (sigma) => f(sigma * config.num_train_timesteps)),
		order: 1,
		initialSigma: 1,
		start: () => null,
		scale: (x) => x,
		renoise: (x0, e, k) => combine([f(1 - sigmas[k]!), x0], [sigmas[k]!, e]),
		advance({ x }, output, k, noise) {
			const [sigma, next] = [sigmas[k]!, sigmas[k + 1]!]
			const x0 = combine([1, x], [-sigma, output])
			if (config.stochastic_sampling) {
				// Drawn at the last step too, where nothing of it is left.
				return { x: combine([f(1 - next), x0], [next, noise.normal(x.dims)]), history: null, x0 }
			}
			return { x: combine([1, x], [f(next - sigma), output]), history: null, x0 }
		}
	}
}

/** The reference's own levels are in double precision; in float32 those that its pipelines hand in, and those of training. */
type Rounded = (value: number) => number

/** Where the evaluations stand, falling. */
function levelsOf(config: FlowMatchConfig, steps: number, patches: number, handed?: Float64Array): Float64Array {
	const { num_train_timesteps: n, use_dynamic_shifting, shift } = config
	const rounded: Rounded = handed ? f : (value) => value
	const shifting = use_dynamic_shifting ? byMu(config, patches, rounded) : byShift(shift, rounded)
	// A shift that is the same for every size shifts the ends of training too, so that they are shifted twice.
	const [most, least] = [f(1), f(1 / n)].map(use_dynamic_shifting ? f : byShift(shift, f)) as [number, number]
	const even = handed?.map(f) ?? linspace(most * n, least * n, steps).map((t) => t / n)
	const levels = stretched(config, even.map(shifting), rounded)
	return respace(config, levels, steps) ?? levels
}

/** The σ that hides as much of a picture with s² times the pixels: s σ / (1 + (s − 1) σ), Esser et al., 2024, eq. 23. */
const byShift =
	(shift: number, rounded: Rounded) =>
	(sigma: number): number =>
		rounded(rounded(rounded(shift) * sigma) / rounded(1 + rounded(rounded(shift - 1) * sigma)))

/** The same for a latent of so many patches, where s = e^μ, or μ, and μ lies on a line through two sizes. */
function byMu(config: FlowMatchConfig, patches: number, rounded: Rounded): (sigma: number) => number {
	const { base_shift, max_shift, base_image_seq_len: base, max_image_seq_len: max } = config
	const slope = (max_shift - base_shift) / (max - base)
	const mu = patches * slope + (base_shift - slope * base)
	const s = rounded(config.time_shift_type === 'exponential' ? Math.exp(mu) : mu)
	return (sigma) => rounded(s / rounded(s + rounded(rounded(1 / sigma) - 1)))
}

/** The same levels but that the last is `shift_terminal`, where that is said. */
function stretched({ shift_terminal }: FlowMatchConfig, levels: Float64Array, rounded: Rounded): Float64Array {
	if (!shift_terminal) {
		return levels
	}
	const scale = rounded(rounded(1 - levels.at(-1)!) / rounded(1 - shift_terminal))
	return levels.map((sigma) => rounded(1 - rounded(rounded(1 - sigma) / scale)))
}
