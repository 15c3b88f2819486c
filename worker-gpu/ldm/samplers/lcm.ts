import { z } from 'zod'
import { combine } from './combine.ts'
import { apply, assertSeen, ClipConfig, limit, pictureFrom, ThresholdConfig } from './prediction.ts'
import { preserving, strengthsAt } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { alphasCumprod, Beta, ScheduleConfig } from './schedule.ts'
import { assertSteps, assertTrained } from './timesteps.ts'

export const LcmConfig = z.object({
	...ScheduleConfig.shape,
	...ClipConfig.shape,
	...ThresholdConfig.shape,
	beta_start: Beta.default(0.00085),
	beta_end: Beta.default(0.012),
	beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']).default('scaled_linear'),
	clip_sample: z.boolean().default(false),
	rescale_betas_zero_snr: z.boolean().default(false),
	/** Steps of the walk that the model was distilled from; the evaluations stand at some of its timesteps. */
	original_inference_steps: z.int().min(1).default(50),
	timestep_scaling: z.number().default(10)
})
export type LcmConfig = z.infer<typeof LcmConfig>

/** σ_data of the boundary condition. */
const DATA = 0.5

/**
 * Multistep sampling of latent consistency models (Luo et al., 2023, algorithm 3).
 *
 * @param span how much of the distilled walk the steps are spread over, from its end
 */
export function lcm(config: LcmConfig, steps: number, span = 1): Sampler<null> {
	const alphas = alphasCumprod(config)
	const timesteps = lcmTimesteps(config, steps, alphas, span)
	assertSeen(config, timesteps, alphas)
	const limited = limit(config)

	/**
	 *   f(x_t, t) = c_skip x_t + c_out x̂_0                              eq. 9
	 *   c_skip = σ_data² / (s² + σ_data²), c_out = s / √(s² + σ_data²), s = timestep_scaling · t
	 *   x_prev = √ᾱ_prev f + √(1−ᾱ_prev) z
	 */
	const coefficients = timesteps.map((t, k) => {
		const alphaBar = alphas[t]!
		const alphaBarPrev = alphas[timesteps[k + 1] ?? t]!
		const s = t * config.timestep_scaling
		return {
			guess: pictureFrom(config.prediction_type, Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)),
			skip: DATA ** 2 / (s ** 2 + DATA ** 2),
			out: s / Math.sqrt(s ** 2 + DATA ** 2),
			picture: Math.sqrt(alphaBarPrev),
			noise: Math.sqrt(1 - alphaBarPrev)
		}
	})

	return {
		...preserving(timesteps, strengthsAt(timesteps, alphas)),
		start: () => null,
		advance({ x }, output, k, noise) {
			const c = coefficients[k]!
			const x0 = combine([c.out, limited(apply(c.guess, x, output))], [c.skip, x])
			const last = k === steps - 1
			const next = last ? x0 : combine([c.picture, x0], [c.noise, noise.normal(x.dims)])
			return { x: next, history: null, x0 }
		}
	}
}

/** Some of the timesteps of the walk that the model was distilled from, beginning with its last one. */
export function lcmTimesteps(
	config: Pick<LcmConfig, 'num_train_timesteps' | 'original_inference_steps'>,
	steps: number,
	alphas: Float32Array,
	span = 1
): number[] {
	const { num_train_timesteps: n, original_inference_steps: original } = config
	if (original > n) {
		throw new RangeError(`original_inference_steps: expected at most ${n}, got ${original}`)
	}
	assertSteps(steps, original)
	const first = Math.trunc(original * span)
	if (!(span >= 0 && span <= 1 && first >= steps)) {
		throw new RangeError(`strength: expected ${steps / original} to 1, for ${steps} steps out of ${original}, got ${span}`)
	}
	const stride = Math.floor(n / original)
	const timesteps = Array.from({ length: steps }, (_, i) => (first - Math.floor(i * (first / steps))) * stride - 1)
	assertTrained(timesteps, alphas)
	return timesteps
}
