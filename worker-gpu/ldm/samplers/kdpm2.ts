import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine } from './combine.ts'
import { belowAndUp } from './euler-ancestral.ts'
import { ExplodingConfig, exploding, type Places, places } from './exploding.ts'
import type { Sampler } from './sampler.ts'
import { Beta, f, ScheduleConfig } from './schedule.ts'
import { atMostOneRespacing, RespacingConfig, timestepOf, trainingSigmas } from './sigmas.ts'
import { roundHalfToEven } from './timesteps.ts'

export const Kdpm2Config = z
	.object({
		...ScheduleConfig.shape,
		...ExplodingConfig.shape,
		...RespacingConfig.shape,
		beta_start: Beta.default(0.00085),
		beta_end: Beta.default(0.012),
		prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon')
	})
	.refine(...atMostOneRespacing)
export type Kdpm2Config = z.infer<typeof Kdpm2Config>

/** Where the step began; null between two steps. */
type History = Tensor | null

/** DPM-Solver-2 in σ, as in Crowson's k-diffusion: from σ by the slope that there is half the way (in log σ) to the next one. */
export function kdpm2(config: Kdpm2Config, steps: number): Sampler<History> {
	const { timesteps, sigmas } = once(config, steps)
	const ends = timesteps.map((_, j) => ({ to: sigmas[j + 1]!, up: 0 }))
	return solver(config, { timesteps, sigmas }, ends, false)
}

/** The same to below the next σ, and noise back up to it. */
export function kdpm2Ancestral(config: Kdpm2Config, steps: number): Sampler<History> {
	const { timesteps, sigmas } = once(config, steps)
	const ends = timesteps.map((_, j) => {
		const { down, up } = belowAndUp(sigmas[j]!, sigmas[j + 1]!)
		return { to: down, up }
	})
	return solver(config, { timesteps, sigmas }, ends, true)
}

/** The places of the steps. */
function once(config: Kdpm2Config, steps: number): Places {
	const { timesteps, sigmas } = places(config, steps, trainingSigmas(config))
	return { timesteps: config.use_karras_sigmas ? timesteps.map(roundHalfToEven) : timesteps, sigmas }
}

/** @param ends σ at the end of each step, and of the noise that is added there. Every step evaluates twice, but for the last: n steps take 2n − 1 evaluations. */
function solver(
	config: Kdpm2Config,
	{ timesteps, sigmas }: Places,
	ends: readonly { to: number; up: number }[],
	stochastic: boolean
): Sampler<History> {
	const training = trainingSigmas(config)
	const log = (value: number) => f(Math.log(value))
	const half = ends.map(({ to }, j) => f(Math.exp(f((log(sigmas[j]!) + log(to)) / 2))))
	const all = timesteps.slice(0, -1).flatMap((t, j) => [
		{ t, sigma: sigmas[j]! },
		{ t: timestepOf(half[j]!, training, true), sigma: half[j]! }
	])
	all.push({ t: timesteps.at(-1)!, sigma: sigmas.at(-2)! })
	const evaluated = { timesteps: all.map(({ t }) => t), sigmas: Float32Array.from([...all.map(({ sigma }) => sigma), 0]) }
	const { guess, slope, follow, renoise, ...shared } = exploding(config, evaluated)

	return {
		...shared,
		order: 2,
		start: () => null,
		// In the midst of a step the reference noises as at its end.
		renoise: (x0, e, k) => renoise(x0, e, k + (k % 2)),
		advance({ x, history }, output, k, noise) {
			const j = k >> 1
			const x0 = guess(x, output, k)
			const d = slope(x, x0, k)
			if (!history) {
				return { x: follow(x, d, f(half[j]! - sigmas[j]!)), history: x, x0 } // Half the way to nothing is all of it.
			}
			const { to, up } = ends[j]!
			const next = follow(history, d, f(to - sigmas[j]!))
			return { x: stochastic ? combine([1, next], [up, noise.normal(x.dims)]) : next, history: null, x0 }
		}
	}
}
