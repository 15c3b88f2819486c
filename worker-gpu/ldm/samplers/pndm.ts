import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine, type Term } from './combine.ts'
import { apply, noiseFrom, pictureFrom } from './prediction.ts'
import { preserving, strengthsAt } from './preserving.ts'
import type { Sampler, Step } from './sampler.ts'
import { alphasCumprod, f, ScheduleConfig } from './schedule.ts'
import { assertTrained, SpacingConfig, spacedTimesteps } from './timesteps.ts'

export const PndmConfig = z.object({
	...ScheduleConfig.shape,
	...SpacingConfig.shape,
	prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon'),
	timestep_spacing: SpacingConfig.shape.timestep_spacing.default('leading'),
	set_alpha_to_one: z.boolean().default(false),
	/** Whether it begins with linear multistep at once, as Stable Diffusion, and not with three steps by Runge–Kutta. */
	skip_prk_steps: z.boolean().default(false)
})
export type PndmConfig = z.infer<typeof PndmConfig>

interface History {
	/** The network's answers at the beginnings of the latest steps, newest first. */
	readonly answers: readonly Tensor[]
	/** x at the beginning of the step that is under way, where it takes more than one evaluation; null between two steps. */
	readonly origin: Tensor | null
	/** The network's answers in that step, oldest first. */
	readonly within: readonly Tensor[]
}

/** Linear multistep weights of answers, newest first (Liu et al., 2022, eq. 12 and appendix). */
const multistep = [[1], [3 / 2, -1 / 2], [23 / 12, -16 / 12, 5 / 12], [55 / 24, -59 / 24, 37 / 24, -9 / 24]] as const
/** Weights of the two answers of PLMS's first step, and of the four of a Runge–Kutta step, oldest first. */
const [IMPROVED_EULER, RUNGE_KUTTA] = [
	[1 / 2, 1 / 2],
	[1 / 6, 1 / 3, 1 / 3, 1 / 6]
] as const
/** Steps by Runge–Kutta, after which there are answers enough. */
const WARM = 3

/**
 * "Pseudo Numerical Methods for Diffusion Models on Manifolds" (Liu et al., 2022): n steps of a linear multistep method, which needs the answers of earlier ones.
 *
 * - F-PNDM, algorithm 2, begins with three steps by Runge–Kutta of four evaluations each: n + 9 in all.
 * - S-PNDM, known as PLMS, begins with fewer answers; its first step is evaluated at both of its ends (pseudo improved Euler), so that n > 1 steps take n + 1.
 *
 * A walk that begins later begins so too, with places that are not meant for it, wherever that leads: so does the reference.
 */
export function pndm(config: PndmConfig, steps: number): Sampler<History> {
	const alphas = alphasCumprod(config)
	const places = spacedTimesteps(config, steps)
	const stride = Math.floor(config.num_train_timesteps / steps)
	const half = Math.floor(stride / 2)
	const timesteps = config.skip_prk_steps ? plmsTimesteps(places) : prkTimesteps(places, half)
	assertTrained(timesteps, alphas)

	/**
	 * φ, eq. 11: x_prev = √(ᾱ_prev/ᾱ_t) x_t − (ᾱ_prev − ᾱ_t) ε / (ᾱ_t √(1−ᾱ_prev) + √(ᾱ_t (1−ᾱ_t) ᾱ_prev))
	 *
	 * In float32 at every step: where ᾱ_t is next to nothing, that is a difference of large near equals, and what the reference loses there is part of its picture.
	 */
	const transfer = (x: Tensor, output: Tensor, t: number, prev: number): Omit<Step<History>, 'history'> => {
		const alphaBar = alphas[t]!
		const alphaBarPrev = prev >= 0 ? alphas[prev]! : config.set_alpha_to_one ? 1 : alphas[0]!
		const [beta, betaPrev] = [f(1 - alphaBar), f(1 - alphaBarPrev)]
		const [alpha, sigma] = [f(Math.sqrt(alphaBar)), f(Math.sqrt(beta))]
		const [ofX, ofOutput] = noiseFrom(config.prediction_type, alpha, sigma)
		const kept = f(Math.sqrt(f(alphaBarPrev / alphaBar)))
		const way = f(alphaBarPrev - alphaBar)
		const over = f(f(alphaBar * f(Math.sqrt(betaPrev))) + f(Math.sqrt(f(f(alphaBar * beta) * alphaBarPrev))))
		const next = x.data.map((value, i) => {
			const e = f(f(ofOutput * output.data[i]!) + f(ofX * value))
			return f(kept * value) - f(f(way * e) / over)
		})
		return {
			x: { data: next, dims: x.dims },
			x0: apply(pictureFrom(config.prediction_type, alpha, sigma), x, output)
		}
	}

	/** Half a step twice, by the answer at its beginning and by the next; all of it, by the one after that; all of it, by all four. */
	const rungeKutta = (current: Tensor, history: History, output: Tensor, k: number): Step<History> => {
		const x = history.origin ?? current
		const answers = history.origin ? history.answers : [output, ...history.answers]
		const within = [...history.within, output]
		const last = within.length === RUNGE_KUTTA.length
		const by = last ? weighted(RUNGE_KUTTA, within) : output
		const to = timesteps[k]! - (within.length % 2 === 1 ? half : 0)
		const begun = timesteps[RUNGE_KUTTA.length * (answers.length - 1)]!
		const next = last ? { origin: null, within: [] } : { origin: x, within }
		return { ...transfer(x, by, begun, to), history: { answers, ...next } }
	}

	return {
		...preserving(timesteps, strengthsAt(timesteps, alphas)),
		start: () => ({ answers: [], origin: null, within: [] }),
		advance({ x, history }, output, k) {
			const { answers, origin } = history
			if (!config.skip_prk_steps && (answers.length < WARM || origin)) {
				return rungeKutta(x, history, output, k)
			}
			const t = timesteps[k]!
			if (origin) {
				const blend = weighted(IMPROVED_EULER, [answers[0]!, output])
				return { ...transfer(origin, blend, t + stride, t), history: { answers, origin: null, within: [] } }
			}
			const latest = [output, ...answers.slice(0, multistep.length - 1)]
			const blend = weighted(multistep[latest.length - 1]!, latest)
			return {
				...transfer(x, blend, t, t - stride),
				history: { answers: latest, origin: answers.length === 0 ? x : null, within: [] }
			}
		}
	}
}

const weighted = (weights: readonly number[], answers: readonly Tensor[]): Tensor =>
	combine(...(answers.map((answer, i): Term => [weights[i]!, answer]) as [Term, ...Term[]]))

const plmsTimesteps = (places: readonly number[]): readonly number[] =>
	places.length > 1 ? [places[0]!, places[1]!, ...places.slice(1)] : places

/** Three times a beginning, the middle twice, and the end. The reference finds the middle from the end. */
function prkTimesteps(places: readonly number[], half: number): readonly number[] {
	if (places.length <= WARM) {
		throw new RangeError(`steps: expected at least ${WARM + 1}, for three are by Runge–Kutta, got ${places.length}`)
	}
	const warm = places.slice(0, WARM).flatMap((begin, i) => {
		const end = places[i + 1]!
		return [begin, end + half, end + half, end]
	})
	return [...warm, ...places.slice(WARM)]
}
