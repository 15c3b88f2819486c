import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { ExplodingConfig, exploding, places } from './exploding.ts'
import { ClipConfig, limit } from './prediction.ts'
import type { Sampler } from './sampler.ts'
import { Beta, f, ScheduleConfig } from './schedule.ts'
import { atMostOneRespacing, RespacingConfig, trainingSigmas } from './sigmas.ts'

export const HeunConfig = z
	.object({
		...ScheduleConfig.shape,
		...ExplodingConfig.shape,
		...RespacingConfig.shape,
		...ClipConfig.shape,
		beta_start: Beta.default(0.00085),
		beta_end: Beta.default(0.012),
		beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2', 'exp']).default('linear'),
		clip_sample: z.boolean().default(false)
	})
	.refine(...atMostOneRespacing)
export type HeunConfig = z.infer<typeof HeunConfig>

/** Where the step began, and dx/dσ there; null between two steps. */
type History = { readonly x: Tensor; readonly slope: Tensor } | null

/**
 * Heun's second-order method in σ: Karras et al., 2022, algorithm 1 without churn. Every step evaluates at both of its ends, but for the
 * last, which ends at σ = 0: n steps take 2n − 1 evaluations.
 */
export function heun(config: HeunConfig, steps: number): Sampler<History> {
	const once = places(config, steps, trainingSigmas(config))
	/** The step that evaluation k belongs to, and the place where it is made. */
	const evaluations = Array.from({ length: 2 * steps - 1 }, (_, k) => ({ step: k >> 1, place: (k + 1) >> 1 }))
	const { guess, slope, follow, scale, renoise, initialSigma, fullSigma } = exploding(config, once)
	const limited = limit(config)

	return {
		timesteps: evaluations.map(({ place }) => once.timesteps[place]!),
		order: 2,
		initialSigma,
		fullSigma,
		start: () => null,
		scale: (x, k) => scale(x, evaluations[k]!.place),
		renoise: (x0, e, k) => renoise(x0, e, evaluations[k]!.place),
		advance({ x, history }, output, k) {
			const { step, place } = evaluations[k]!
			const x0 = limited(guess(x, output, place))
			const d = slope(x, x0, place)
			const length = f(once.sigmas[step + 1]! - once.sigmas[step]!)
			if (!history) {
				return { x: follow(x, d, length), history: { x, slope: d }, x0 }
			}
			const mean = { data: d.data.map((value, i) => f(history.slope.data[i]! + value) / 2), dims: d.dims }
			return { x: follow(history.x, mean, length), history: null, x0 }
		}
	}
}
