import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine } from './combine.ts'
import { apply, assertSeen, ClipConfig, limit, noiseFrom, type Pair, pictureFrom, ThresholdConfig } from './prediction.ts'
import { preserving, strengthsAt } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { alphasCumprod, f, ScheduleConfig } from './schedule.ts'
import { assertTrained, SpacingConfig, spacedTimesteps } from './timesteps.ts'

export const DdimConfig = z.object({
	...ScheduleConfig.shape,
	...SpacingConfig.shape,
	...ClipConfig.shape,
	...ThresholdConfig.shape,
	timestep_spacing: SpacingConfig.shape.timestep_spacing.default('leading'),
	/** The last step's ᾱ_prev: 1, or the first training timestep's. */
	set_alpha_to_one: z.boolean().default(true),
	rescale_betas_zero_snr: z.boolean().default(false)
})
export type DdimConfig = z.infer<typeof DdimConfig>

interface Coefficients {
	readonly guess: Pair
	readonly direction: Pair
	readonly x0: number
	readonly e: number
}

/** Denoising diffusion implicit models (Song et al., 2020). η = 0 adds no noise after the start, η = 1 as much as DDPM. */
export function ddim(config: DdimConfig, steps: number, eta = 0): Sampler<null> {
	const alphas = alphasCumprod(config)
	const timesteps = spacedTimesteps(config, steps)
	assertTrained(timesteps, alphas)
	assertSeen(config, timesteps, alphas)
	const stride = Math.floor(config.num_train_timesteps / steps)
	const isLimited = config.thresholding || config.clip_sample
	const limited = limit(config)

	/**
	 * x_t, ᾱ_t, ᾱ_prev as in the paper.
	 *   x̂_0    = (x_t − √(1−ᾱ_t) ε) / √ᾱ_t                              "predicted x_0" of eq. 12
	 *   σ_t²   = η² (1−ᾱ_prev) / (1−ᾱ_t) (1 − ᾱ_t / ᾱ_prev)             eq. 16
	 *   x_prev = √ᾱ_prev x̂_0 + √(1−ᾱ_prev−σ_t²) ε + σ_t z               eq. 12
	 */
	const coefficients = timesteps.map((t) => {
		const alphaBar = alphas[t]!
		const alphaBarPrev = t - stride >= 0 ? alphas[t - stride]! : config.set_alpha_to_one ? 1 : alphas[0]!
		const alpha = Math.sqrt(alphaBar)
		const sigma = Math.sqrt(1 - alphaBar)
		const rest = f(1 - alphaBarPrev)
		const variance = f(f(rest / f(1 - alphaBar)) * f(1 - f(alphaBar / alphaBarPrev)))
		const noise = f(eta * f(Math.sqrt(variance)))
		return {
			guess: pictureFrom(config.prediction_type, alpha, sigma),
			direction: noiseFrom(config.prediction_type, alpha, sigma),
			x0: Math.sqrt(alphaBarPrev),
			// Roundings may make it negative, of which the reference's picture is NaN.
			e: Math.sqrt(Math.max(f(rest - f(noise ** 2)), 0)),
			noise
		}
	})

	const inPasses = (c: Coefficients, x: Tensor, output: Tensor) => {
		const x0 = limited(apply(c.guess, x, output))
		const e = apply(c.direction, x, output) // Of the network's own answer, also where x̂_0 was limited.
		return { x0, next: combine([c.x0, x0], [c.e, e]) }
	}

	return {
		...preserving(timesteps, strengthsAt(timesteps, alphas)),
		start: () => null,
		advance({ x }, output, k, noise) {
			const c = coefficients[k]!
			const { x0, next } = isLimited ? inPasses(c, x, output) : inOnePass(c, x, output)
			return { x: eta > 0 ? combine([1, next], [c.noise, noise.normal(x.dims)]) : next, history: null, x0 }
		}
	}
}

/** Between two calls of the network this is most of the work. x̂_0 takes the answer's memory, and x_prev that of x_t. */
function inOnePass(
	{ guess: [a, b], direction: [c, d], x0: ofX0, e: ofE }: Coefficients,
	{ data: x, dims }: Tensor,
	{ data: output }: Tensor
) {
	const { length } = x
	for (let i = 0; i < length; i++) {
		const from = x[i]!
		const answer = output[i]!
		const guess = Math.fround(a * from + b * answer)
		x[i] = ofX0 * guess + ofE * Math.fround(c * from + d * answer)
		output[i] = guess
	}
	return { x0: { data: output, dims }, next: { data: x, dims } }
}
