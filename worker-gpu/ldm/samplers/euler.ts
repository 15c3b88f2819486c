import { z } from 'zod'
import { ExplodingConfig, exploding, type Places, places, withLast } from './exploding.ts'
import { log32 } from './log32.ts'
import type { Sampler } from './sampler.ts'
import { f, linspace32, ScheduleConfig } from './schedule.ts'
import { atMostOneRespacing, RespacingConfig, respace, timestepOf, trainingSigmas } from './sigmas.ts'
import { spacedTimesteps } from './timesteps.ts'

export const EulerConfig = z
	.object({
		...ScheduleConfig.shape,
		...ExplodingConfig.shape,
		...RespacingConfig.shape,
		rescale_betas_zero_snr: z.boolean().default(false),
		interpolation_type: z.enum(['linear', 'log_linear']).default('linear'),
		timestep_type: z.enum(['discrete', 'continuous']).default('discrete'),
		final_sigmas_type: z.enum(['zero', 'sigma_min']).default('zero')
	})
	.refine(...atMostOneRespacing)
export type EulerConfig = z.infer<typeof EulerConfig>

/** Euler's method in σ: Karras et al., 2022, algorithm 2 without churn. */
export function euler(config: EulerConfig, steps: number): Sampler<null> {
	const training = trainingSigmas(config)
	const last = config.final_sigmas_type === 'zero' ? 0 : training[0]!
	const stood = continuous(config, logLinear(config, steps, training, last) ?? places(config, steps, training, last))
	const { guess, slope, follow, ...shared } = exploding(config, stood)

	return {
		...shared,
		start: () => null,
		advance({ x }, output, k) {
			const x0 = guess(x, output, k)
			const length = f(stood.sigmas[k + 1]! - stood.sigmas[k]!)
			return { x: follow(x, slope(x, x0, k), length), history: null, x0 }
		}
	}
}

/** Levels even in log σ, whatever the timesteps: one more than there are steps, the one past the last step being where it ends. */
function logLinear(config: EulerConfig, steps: number, training: Float32Array, last: number): Places | undefined {
	if (config.interpolation_type === 'linear') {
		return undefined
	}
	const [min, max] = [training[0]!, training.at(-1)!]
	const levels = linspace32(log32(max), log32(min), steps + 1).map(Math.exp)
	const respaced = respace(config, levels, steps)
	const timesteps = respaced
		? Array.from(respaced, (sigma) => f(timestepOf(sigma, training)))
		: spacedTimesteps(config, steps, { rounded: false })
	return { timesteps, sigmas: withLast(respaced ?? levels, last) }
}

/** A network that was trained on noise levels, not on timesteps, is told log σ / 4 (Karras et al., 2022, table 1). */
function continuous({ timestep_type, prediction_type }: EulerConfig, { timesteps, sigmas }: Places): Places {
	return timestep_type === 'continuous' && prediction_type === 'v_prediction'
		? { timesteps: Array.from(sigmas.subarray(0, -1), (sigma) => f(0.25 * Math.log(sigma))), sigmas }
		: { timesteps, sigmas }
}
