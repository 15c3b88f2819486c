import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import type { Sampler } from './sampler.ts'
import { alphasCumprod, ScheduleConfig, spacedTimesteps } from './schedule.ts'

export const DdimConfig = ScheduleConfig.extend({
	prediction_type: z.enum(['epsilon', 'sample', 'v_prediction']).default('epsilon'),
	clip_sample: z.boolean().default(true),
	clip_sample_range: z.number().positive().default(1),
	/** The last step's ᾱ_prev: 1, or the first training timestep's. */
	set_alpha_to_one: z.boolean().default(true),
	// Known, and would change the picture: better refused than ignored.
	thresholding: z.literal(false).default(false),
	rescale_betas_zero_snr: z.literal(false).default(false)
})
export type DdimConfig = z.infer<typeof DdimConfig>

/** Denoising diffusion implicit models (Song et al., 2020), η = 0: no noise after the start. */
export function ddim(config: DdimConfig, steps: number): Sampler<null> {
	const alphas = alphasCumprod(config)
	const timesteps = spacedTimesteps(config, steps)
	const stride = Math.floor(config.num_train_timesteps / steps)
	const range = config.clip_sample ? config.clip_sample_range : Number.POSITIVE_INFINITY

	return {
		timesteps,
		initialSigma: 1,
		start: () => null,
		scale: (x) => x,

		/**
		 * x_t, ᾱ_t, ᾱ_prev as in the paper; the network answers ε, x_0, or v = √ᾱ ε − √(1−ᾱ) x_0 (Salimans and Ho, 2022).
		 *   x̂_0    = (x_t − √(1−ᾱ_t) ε) / √ᾱ_t              "predicted x_0" of eq. 12
		 *   x_prev = √ᾱ_prev x̂_0 + √(1−ᾱ_prev) ε            eq. 12 with σ = 0
		 */
		advance({ x }, output, k) {
			const t = timesteps[k]!
			const alpha = alphas[t]!
			const alphaPrev = t - stride >= 0 ? alphas[t - stride]! : config.set_alpha_to_one ? 1 : alphas[0]!
			const a = Math.sqrt(alpha)
			const b = Math.sqrt(1 - alpha)
			const aPrev = Math.sqrt(alphaPrev)
			const bPrev = Math.sqrt(1 - alphaPrev)

			const next = new Float32Array(x.data.length)
			const x0 = new Float32Array(x.data.length)
			for (let i = 0; i < next.length; i++) {
				const xt = x.data[i]!
				const out = output.data[i]!
				let guess: number
				let e: number
				switch (config.prediction_type) {
					case 'epsilon':
						guess = (xt - b * out) / a
						e = out
						break
					case 'sample':
						guess = out
						e = (xt - a * out) / b
						break
					case 'v_prediction':
						guess = a * xt - b * out
						e = a * out + b * xt
						break
				}
				guess = Math.min(Math.max(guess, -range), range) // NaN stays NaN, and is noticed.
				x0[i] = guess
				next[i] = aPrev * guess + bPrev * e
			}
			return { x: like(x, next), history: null, x0: like(x, x0) }
		}
	}
}

const like = ({ dims }: Tensor, data: Float32Array): Tensor => ({ data, dims })
