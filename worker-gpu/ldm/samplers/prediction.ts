import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine } from './combine.ts'
import { f } from './schedule.ts'

export type PredictionType = 'epsilon' | 'sample' | 'v_prediction'

/** Coefficients of x_t and of the network's answer. */
export type Pair = readonly [x: number, output: number]

/*
 * x_t = α x_0 + σ ε with α² + σ² = 1. The network answers ε, x_0, or v = α ε − σ x_0 (Salimans and Ho, 2022, appendix D), and
 * either of x_0 and ε is a sum of x_t and that answer.
 */

export function pictureFrom(type: PredictionType, alpha: number, sigma: number): Pair {
	switch (type) {
		case 'epsilon':
			// Where nothing is left of the picture the guess is infinite; a large one is clipped to the same.
			return [1 / Math.max(alpha, 1e-30), -sigma / Math.max(alpha, 1e-30)]
		case 'sample':
			return [0, 1]
		case 'v_prediction':
			return [alpha, -sigma]
	}
}

export function noiseFrom(type: PredictionType, alpha: number, sigma: number): Pair {
	switch (type) {
		case 'epsilon':
			return [0, 1]
		case 'sample':
			return [1 / sigma, -alpha / sigma]
		case 'v_prediction':
			return [sigma, alpha]
	}
}

export const apply = ([a, b]: Pair, x: Tensor, output: Tensor): Tensor =>
	a === 0 && b === 1 ? output : combine([a, x], [b, output])

export const ThresholdConfig = z.object({
	thresholding: z.boolean().default(false),
	dynamic_thresholding_ratio: z.number().min(0).max(1).default(0.995),
	sample_max_value: z.number().default(1)
})

export const ClipConfig = z.object({
	clip_sample: z.boolean().default(true),
	clip_sample_range: z.number().positive().default(1)
})

type Limits = Partial<z.infer<typeof ThresholdConfig> & z.infer<typeof ClipConfig>>

/** What the config does to a guess of the picture that is out of range. NaN stays NaN, and is noticed. */
export function limit(config: Limits): (x0: Tensor) => Tensor {
	if (config.thresholding) {
		const { dynamic_thresholding_ratio: ratio = 0.995, sample_max_value: most = 1 } = config
		// Saharia et al., 2022 (Imagen), section 2.3: s is a percentile of |x̂_0|; clip to [−s, s], divide by s.
		return ({ data, dims }) => {
			const s = Math.min(Math.max(quantile(data.map(Math.abs), ratio), 1), most)
			return { data: data.map((value) => Math.min(Math.max(value, -s), s) / s), dims }
		}
	}
	if (config.clip_sample) {
		const range = config.clip_sample_range ?? 1
		return ({ data, dims }) => ({ data: data.map((value) => Math.min(Math.max(value, -range), range)), dims })
	}
	return (x0) => x0
}

/** Refuses a start where nothing is left of the picture, of which noise tells nothing; but a guess that is clipped is one (and a percentile of infinities is none). */
export function assertSeen(
	config: Limits & { prediction_type: PredictionType },
	timesteps: readonly number[],
	alphas: Float32Array
): void {
	const blind = config.prediction_type === 'epsilon' && (config.thresholding || !config.clip_sample)
	if (blind && timesteps.some((t) => alphas[t] === 0)) {
		throw new RangeError(
			'prediction_type: expected v_prediction or sample where rescale_betas_zero_snr leaves no picture, got epsilon'
		)
	}
}

/** As `torch.quantile`: linear between the two nearest ranks. */
function quantile(values: Float32Array, q: number): number {
	const sorted = values.toSorted()
	const rank = f(f(q) * (values.length - 1))
	const low = sorted[Math.floor(rank)]!
	return low + ((sorted[Math.ceil(rank)] ?? low) - low) * (rank - Math.floor(rank))
}
