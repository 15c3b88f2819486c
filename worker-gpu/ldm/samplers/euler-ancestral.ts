import { z } from 'zod'
import { combine } from './combine.ts'
import { ExplodingConfig, exploding, places } from './exploding.ts'
import type { Sampler } from './sampler.ts'
import { f, ScheduleConfig } from './schedule.ts'
import { trainingSigmas } from './sigmas.ts'

export const EulerAncestralConfig = z.object({
	...ScheduleConfig.shape,
	...ExplodingConfig.shape,
	prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon'),
	rescale_betas_zero_snr: z.boolean().default(false)
})
export type EulerAncestralConfig = z.infer<typeof EulerAncestralConfig>

/** Euler's method to below the next σ, and noise back up to it, as in Crowson's k-diffusion. */
export function eulerAncestral(config: EulerAncestralConfig, steps: number): Sampler<null> {
	const { timesteps, sigmas } = places(config, steps, trainingSigmas(config))
	const { guess, slope, follow, ...shared } = exploding(config, { timesteps, sigmas })

	const coefficients = timesteps.map((_, k) => {
		const { down, up } = belowAndUp(sigmas[k]!, sigmas[k + 1]!)
		return { length: f(down - sigmas[k]!), noise: up }
	})

	return {
		...shared,
		start: () => null,
		advance({ x }, output, k, noise) {
			const c = coefficients[k]!
			const x0 = guess(x, output, k)
			// Drawn at the last step too, where its σ is zero.
			const down = follow(x, slope(x, x0, k), c.length)
			return { x: combine([1, down], [c.noise, noise.normal(x.dims)]), history: null, x0 }
		}
	}
}

/** σ_up² = σ_to² (σ² − σ_to²) / σ², σ_down² = σ_to² − σ_up²: the variances of DDPM's posterior. */
export function belowAndUp(from: number, to: number): { down: number; up: number } {
	const [from2, to2] = [f(from ** 2), f(to ** 2)]
	const up = f(Math.sqrt(f(f(to2 * f(from2 - to2)) / from2)))
	// A difference of near equals where σ is large: float32's digits of it decide.
	return { down: f(Math.sqrt(Math.max(f(to2 - f(up ** 2)), 0))), up }
}
