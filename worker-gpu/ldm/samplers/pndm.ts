import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine, noised, type Term } from './combine.ts'
import { apply, noiseFrom, pictureFrom } from './prediction.ts'
import type { Sampler } from './sampler.ts'
import { alphasCumprod, ScheduleConfig } from './schedule.ts'
import { assertTrained, SpacingConfig, spacedTimesteps } from './timesteps.ts'

export const PndmConfig = z.object({
	...ScheduleConfig.shape,
	...SpacingConfig.shape,
	prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon'),
	timestep_spacing: SpacingConfig.shape.timestep_spacing.default('leading'),
	set_alpha_to_one: z.boolean().default(false),
	/** The start by Runge–Kutta, four evaluations a step, which no Stable Diffusion uses; false where the key is absent. */
	skip_prk_steps: z.literal(true, 'expected true: of PNDM there is PLMS only, without Runge–Kutta steps')
})
export type PndmConfig = z.infer<typeof PndmConfig>

interface History {
	/** The network's latest answers, newest first. */
	readonly answers: readonly Tensor[]
	/** x at the start, which the second evaluation goes back to; null but then. */
	readonly origin: Tensor | null
}

/** Linear multistep weights of answers, newest first (Liu et al., 2022, eq. 12 and appendix). */
const weights = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]] as const

/**
 * Pseudo linear multistep (PLMS) of "Pseudo Numerical Methods for Diffusion Models on Manifolds" (Liu et al., 2022). The first step is
 * evaluated at both of its ends (pseudo improved Euler), so n > 1 steps take n + 1 evaluations. A walk that begins later repeats its second
 * evaluation too, and steps back from it, wherever that leads: so does the reference.
 */
export function pndm(config: PndmConfig, steps: number): Sampler<History> {
	const alphas = alphasCumprod(config)
	const places = spacedTimesteps(config, steps)
	assertTrained(places, alphas)
	const stride = Math.floor(config.num_train_timesteps / steps)
	const timesteps = places.length > 1 ? [places[0]!, places[1]!, ...places.slice(1)] : places

	/**
	 * φ, eq. 11: x_prev = √(ᾱ_prev/ᾱ_t) x_t − (ᾱ_prev − ᾱ_t) ε / (ᾱ_t √(1−ᾱ_prev) + √(ᾱ_t (1−ᾱ_t) ᾱ_prev))
	 */
	const coefficients = (t: number, prev: number) => {
		const alphaBar = alphas[t]!
		const alphaBarPrev = prev >= 0 ? alphas[prev]! : config.set_alpha_to_one ? 1 : alphas[0]!
		const alpha = Math.sqrt(alphaBar)
		const sigma = Math.sqrt(1 - alphaBar)
		return {
			guess: pictureFrom(config.prediction_type, alpha, sigma),
			direction: noiseFrom(config.prediction_type, alpha, sigma),
			x: Math.sqrt(alphaBarPrev / alphaBar),
			e:
				-(alphaBarPrev - alphaBar) /
				(alphaBar * Math.sqrt(1 - alphaBarPrev) + Math.sqrt(alphaBar * (1 - alphaBar) * alphaBarPrev))
		}
	}

	return {
		timesteps,
		order: 1,
		initialSigma: 1,
		start: () => ({ answers: [], origin: null }),
		scale: (x) => x,
		renoise: (x0, e, k) => noised(x0, e, alphas[timesteps[k]!]!),
		advance({ x: current, history }, output, k) {
			const again = history.origin !== null
			const x = history.origin ?? current
			const answers = again ? history.answers : [output, ...history.answers.slice(0, 3)]
			const blend = again
				? combine([1 / 2, output], [1 / 2, answers[0]!])
				: combine(...(answers.map((answer, i): Term => [weights[answers.length - 1]![i]!, answer]) as [Term, ...Term[]]))
			const t = timesteps[k]!
			const c = again ? coefficients(t + stride, t) : coefficients(t, t - stride)
			return {
				x: combine([c.x, x], [c.e, apply(c.direction, x, blend)]),
				history: { answers, origin: history.answers.length === 0 ? x : null },
				x0: apply(c.guess, x, blend)
			}
		}
	}
}
