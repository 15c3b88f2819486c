import { z } from 'zod'
import { combine } from './combine.ts'
import { apply, assertSeen, ClipConfig, limit, pictureFrom, ThresholdConfig } from './prediction.ts'
import { preserving, strengthsAt } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { alphasCumprod, f, ScheduleConfig } from './schedule.ts'
import { assertTrained, SpacingConfig, spacedTimesteps } from './timesteps.ts'

export const DdpmConfig = z.object({
	...ScheduleConfig.shape,
	...SpacingConfig.shape,
	...ClipConfig.shape,
	...ThresholdConfig.shape,
	beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2', 'sigmoid', 'laplace']).default('linear'),
	timestep_spacing: SpacingConfig.shape.timestep_spacing.default('leading'),
	rescale_betas_zero_snr: z.boolean().default(false),
	// The learned ones need a network that answers twice as many channels; fixed_large_log is NaN in the reference.
	variance_type: z.enum(['fixed_small', 'fixed_small_log', 'fixed_large']).nullable().default('fixed_small')
})
export type DdpmConfig = z.infer<typeof DdpmConfig>

/** Denoising diffusion probabilistic models (Ho et al., 2020): the ancestral walk. */
export function ddpm(config: DdpmConfig, steps: number): Sampler<null> {
	const alphas = alphasCumprod(config)
	const timesteps = spacedTimesteps(config, steps)
	assertTrained(timesteps, alphas)
	assertSeen(config, timesteps, alphas)
	const limited = limit(config)

	/**
	 *   x̂_0 = (x_t − √(1−ᾱ_t) ε) / √ᾱ_t                                            eq. 15
	 *   μ̃_t = √ᾱ_prev β_t / (1−ᾱ_t) x̂_0 + √α_t (1−ᾱ_prev) / (1−ᾱ_t) x_t            eq. 7
	 *   β̃_t = (1−ᾱ_prev) / (1−ᾱ_t) β_t                                             eq. 7
	 * where "prev" is the next timestep that is visited, and α_t = ᾱ_t / ᾱ_prev.
	 */
	const coefficients = timesteps.map((t, k) => {
		const alphaBar = alphas[t]!
		const alphaBarPrev = k + 1 < timesteps.length ? alphas[timesteps[k + 1]!]! : 1
		const alpha = f(alphaBar / alphaBarPrev)
		const beta = f(1 - alpha)
		const rest = 1 - alphaBar
		const posterior = Math.max(((1 - alphaBarPrev) / rest) * beta, 1e-20)
		return {
			guess: pictureFrom(config.prediction_type, Math.sqrt(alphaBar), Math.sqrt(rest)),
			x0: (Math.sqrt(alphaBarPrev) * beta) / rest,
			x: (Math.sqrt(alpha) * (1 - alphaBarPrev)) / rest,
			noise: Math.sqrt(config.variance_type === 'fixed_large' ? beta : posterior)
		}
	})

	return {
		...preserving(timesteps, strengthsAt(timesteps, alphas)),
		start: () => null,
		advance({ x }, output, k, noise) {
			const c = coefficients[k]!
			const x0 = limited(apply(c.guess, x, output))
			const mean = combine([c.x0, x0], [c.x, x])
			const next = timesteps[k]! > 0 ? combine([1, mean], [c.noise, noise.normal(x.dims)]) : mean
			return { x: next, history: null, x0 }
		}
	}
}
