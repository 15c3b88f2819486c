import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine } from './combine.ts'
import { apply, type PredictionType, pictureFrom } from './prediction.ts'
import { f } from './schedule.ts'
import { interpolate, type RespacingConfig, respace, timestepOf, trainingSigmas } from './sigmas.ts'
import { SpacingConfig, spacedTimesteps } from './timesteps.ts'

/*
 * Samplers after Karras et al. (2022) walk x = x_0 + σ ε, whose variance "explodes" with σ, and show the network x / √(σ² + 1), which has the
 * unit variance that it was trained with.
 */

export const ExplodingConfig = z.object({
	...SpacingConfig.shape,
	timestep_spacing: SpacingConfig.shape.timestep_spacing.default('linspace')
})

/** Where the evaluations stand, and their σ, float32. `sigmas` has one more: the noise that is left at the end. */
export interface Places {
	readonly timesteps: readonly number[]
	readonly sigmas: Float32Array
}

type Config = z.infer<typeof ExplodingConfig> & RespacingConfig & { num_train_timesteps: number }

/** @param training σ of each training timestep */
export function places(config: Config, steps: number, training: Float32Array, last = 0): Places {
	const timesteps = spacedTimesteps(config, steps, { rounded: false })
	const levels = interpolate(training, timesteps)
	const respaced = respace(config, levels, steps)
	if (respaced) {
		return { timesteps: Array.from(respaced, (sigma) => f(timestepOf(sigma, training))), sigmas: withLast(respaced, last) }
	}
	return { timesteps, sigmas: withLast(levels, last) }
}

export const withLast = (levels: ArrayLike<number>, last: number) => Float32Array.from([...Array.from(levels), last])

/** The parts of a sampler that all of these share. */
export function exploding(
	config: Parameters<typeof trainingSigmas>[0] & { timestep_spacing: string; prediction_type: PredictionType },
	{ timesteps, sigmas }: Places
) {
	const start = (max: number) => f(config.timestep_spacing === 'leading' ? Math.sqrt(max * max + 1) : max)
	const unit = Array.from(sigmas, (sigma) => 1 / Math.sqrt(sigma * sigma + 1))
	const pairs = unit.map((alpha, k) => {
		const [x, output] = pictureFrom(config.prediction_type, alpha, sigmas[k]! * alpha)
		return [x * alpha, output] as const
	})
	return {
		timesteps,
		order: 1 as const,
		initialSigma: start(Math.max(...sigmas)),
		// Not always the last: with zero terminal SNR that is set to 4096, and the one before may be more.
		fullSigma: start(trainingSigmas(config).reduce((most, sigma) => Math.max(most, sigma))),
		scale: (x: Tensor, k: number) => combine([unit[k]!, x]),
		renoise: (x0: Tensor, e: Tensor, k: number) => combine([1, x0], [sigmas[k]!, e]),
		/** x̂_0 */
		guess: (x: Tensor, output: Tensor, k: number) => apply(pairs[k]!, x, output),
		/*
		 * Rounded as torch rounds at every step: where σ begins at 4096 (zero terminal SNR), what is left of x when the first step has taken nearly all
		 * of it away is mostly the roundings.
		 */
		/** dx/dσ = (x − x̂_0) / σ: Karras et al., 2022, eq. 4 */
		slope: (x: Tensor, x0: Tensor, k: number): Tensor => ({
			data: x.data.map((value, i) => f(value - x0.data[i]!) / sigmas[k]!),
			dims: x.dims
		}),
		/** x, so far along a slope. */
		follow: (x: Tensor, slope: Tensor, length: number): Tensor => ({
			data: x.data.map((value, i) => value + f(slope.data[i]! * length)),
			dims: x.dims
		})
	}
}
