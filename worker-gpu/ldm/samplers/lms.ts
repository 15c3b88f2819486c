import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { ExplodingConfig, exploding, places } from './exploding.ts'
import type { Sampler } from './sampler.ts'
import { f, ScheduleConfig } from './schedule.ts'
import { atMostOneRespacing, RespacingConfig, trainingSigmas } from './sigmas.ts'

export const LmsConfig = z
	.object({ ...ScheduleConfig.shape, ...ExplodingConfig.shape, ...RespacingConfig.shape })
	.refine(...atMostOneRespacing)
export type LmsConfig = z.infer<typeof LmsConfig>

const ORDER = 4

/** dx/dσ of the latest evaluations, newest first. */
type History = readonly Tensor[]

/** Linear multistep (Adams–Bashforth) in σ, as in Crowson's k-diffusion. */
export function lms(config: LmsConfig, steps: number): Sampler<History> {
	// The reference looks for the ends of Karras' levels in the schedule alone.
	const ends = config.use_karras_sigmas ? { sigma_min: null, sigma_max: null } : {}
	const stood = places({ ...config, ...ends }, steps, trainingSigmas(config))
	const { guess, slope, follow, ...shared } = exploding(config, stood)
	// Those of a walk from the beginning: one that begins later leaves out the slopes that it has not, as the reference does.
	const weights = stood.timesteps.map((_, k) => adamsBashforth(stood.sigmas, k))

	return {
		...shared,
		start: () => [],
		advance({ x, history }, output, k) {
			const x0 = guess(x, output, k)
			const slopes = [slope(x, x0, k), ...history.slice(0, ORDER - 1)]
			return { x: follow(x, sum(slopes, weights[k]!), 1), history: slopes, x0 }
		}
	}
}

/** Σ w_i d_i, rounded as torch rounds: see exploding.ts. */
function sum(slopes: readonly Tensor[], weights: readonly number[]): Tensor {
	const [{ data, dims }] = slopes as [Tensor]
	return { data: data.map((_, i) => slopes.reduce((all, slope, j) => f(all + f(weights[j]! * slope.data[i]!)), 0)), dims }
}

/** ∫ over σ_k … σ_{k+1} of each Lagrange polynomial through the latest slopes: cubic at most, so two Gauss points are exact. */
function adamsBashforth(sigmas: Float32Array, k: number): number[] {
	const order = Math.min(k + 1, ORDER)
	const nodes = Array.from({ length: order }, (_, j) => sigmas[k - j]!)
	const middle = (sigmas[k]! + sigmas[k + 1]!) / 2
	const half = (sigmas[k + 1]! - sigmas[k]!) / 2
	return nodes.map((node, i) => {
		const lagrange = (tau: number) =>
			nodes.reduce((product, other, j) => (j === i ? product : (product * (tau - other)) / (node - other)), 1)
		return f(half * (lagrange(middle - half / Math.sqrt(3)) + lagrange(middle + half / Math.sqrt(3))))
	})
}
