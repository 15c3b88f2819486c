import { z } from 'zod'
import { combine } from './combine.ts'
import { LcmConfig, lcmTimesteps } from './lcm.ts'
import { apply, assertSeen, noiseFrom, pictureFrom } from './prediction.ts'
import { preserving, strengthsAt } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { alphasCumprod } from './schedule.ts'

// Its class knows of clipping and thresholds, and does neither.
const { clip_sample: _, clip_sample_range: __, thresholding: ___, ...shape } = LcmConfig.shape
export const TcdConfig = z.object(shape)
export type TcdConfig = z.infer<typeof TcdConfig>

/**
 * Trajectory consistency distillation (Zheng et al., 2024), algorithm 4: from t to s = (1 − γ) t_prev at once, and with noise back up to t_prev.
 *
 * @param gamma how far below the next timestep; 0 draws no noise
 */
export function tcd(config: TcdConfig, steps: number, gamma = 0): Sampler<null> {
	const alphas = alphasCumprod(config)
	const timesteps = lcmTimesteps(config, steps, alphas)
	assertSeen(config, timesteps, alphas)

	/**
	 *   x_s    = √ᾱ_s x̂_0 + √(1−ᾱ_s) ε                              eq. 22
	 *   x_prev = √(ᾱ_prev/ᾱ_s) x_s + √(1 − ᾱ_prev/ᾱ_s) z
	 */
	const coefficients = timesteps.map((t, k) => {
		const previous = timesteps[k + 1] ?? 0
		const [alphaBar, alphaBarS] = [alphas[t]!, alphas[Math.floor((1 - gamma) * previous)]!]
		const left = alphas[previous]! / alphaBarS
		const [alpha, sigma] = [Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)]
		return {
			guess: pictureFrom(config.prediction_type, alpha, sigma),
			direction: noiseFrom(config.prediction_type, alpha, sigma),
			x0: Math.sqrt(alphaBarS),
			e: Math.sqrt(1 - alphaBarS),
			back: Math.sqrt(left),
			noise: Math.sqrt(1 - left)
		}
	})

	return {
		...preserving(timesteps, strengthsAt(timesteps, alphas)),
		start: () => null,
		advance({ x }, output, k, noise) {
			const c = coefficients[k]!
			const x0 = apply(c.guess, x, output)
			const reached = combine([c.x0, x0], [c.e, apply(c.direction, x, output)])
			const noisy = gamma > 0 && k < timesteps.length - 1
			return { x: noisy ? combine([c.back, reached], [c.noise, noise.normal(x.dims)]) : reached, history: null, x0 }
		}
	}
}
