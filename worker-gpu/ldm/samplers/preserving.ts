import type { Tensor } from '../../onnx/tensor.ts'
import { combine } from './combine.ts'

/** How strong picture and noise are: α² + σ² = 1. */
interface Strengths {
	readonly alpha: number
	readonly sigma: number
}

/** Those of training timesteps, by their ᾱ: Ho et al., 2020, eq. 4. */
export const strengthsAt = (timesteps: readonly number[], alphas: Float32Array): Strengths[] =>
	timesteps.map((t) => ({ alpha: Math.sqrt(alphas[t]!), sigma: Math.sqrt(1 - alphas[t]!) }))

/**
 * The parts of a sampler that all share whose walk, x = α x_0 + σ ε, preserves variance (Song et al., 2021, §3.4): the network is shown x as it is.
 *
 * @param places of each evaluation
 */
export const preserving = (timesteps: readonly number[], places: readonly Strengths[]) => ({
	timesteps,
	order: 1 as const,
	initialSigma: 1,
	scale: (x: Tensor) => x,
	renoise: (x0: Tensor, e: Tensor, k: number) => combine([places[k]!.alpha, x0], [places[k]!.sigma, e])
})
