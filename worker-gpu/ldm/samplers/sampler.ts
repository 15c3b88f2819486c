import type { Tensor } from '../../onnx/tensor.ts'
import type { Generator } from '../noise.ts'

/**
 * Walks a latent from noise to picture. Pure: everything is a function of coefficients fixed at the start and of the row's own
 * state, never of a step counter of its own (diffusers' schedulers keep one, which is why they cannot share a batch).
 *
 * How many evaluations went before is read from the history, not from k: a walk may begin anywhere (see strength.ts).
 *
 * `k` counts network evaluations, not steps: some samplers evaluate more often than they step (50 steps: Heun 99, PLMS 51).
 */
export interface Sampler<History = unknown> {
	/** The timestep of each evaluation. */
	readonly timesteps: readonly number[]
	/** Evaluations between the beginnings of two steps, as diffusers counts: 2 of Heun, 1 of PLMS too. */
	readonly order: 1 | 2
	/** Standard deviation of the latent at the start. */
	readonly initialSigma: number
	/** The same for a walk that begins at the last timestep of training, where that is not `initialSigma`. */
	readonly fullSigma?: number
	start(): History
	/** What the network is shown of x at evaluation k. */
	scale(x: Tensor, k: number): Tensor
	/** What x is at evaluation k where it began as the picture x0 and the noise e: diffusers' add_noise. */
	renoise(x0: Tensor, e: Tensor, k: number): Tensor
	/**
	 * From the network's answer at evaluation k, whose memory is the sampler's from then on, as is that of x. `x0` is the guess of the finished latent. Samplers that add noise draw it from the row's
	 * own generator, as often and in the order that diffusers does.
	 */
	advance(row: { readonly x: Tensor; readonly history: History }, output: Tensor, k: number, noise: Generator): Step<History>
}

export interface Step<History> {
	readonly x: Tensor
	readonly history: History
	readonly x0: Tensor
}
