import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine, type Term } from './combine.ts'
import { DpmSolverConfig, firstPlace, terms } from './dpm-solver.ts'
import { type Place, placeAt, respacedLevels, spacedLevels } from './logsnr.ts'
import { apply, limit, pictureFrom } from './prediction.ts'
import { preserving } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { f } from './schedule.ts'
import { atMostOneRespacing, trainingSigmas } from './sigmas.ts'
import { roundHalfToEven } from './timesteps.ts'

// Its class knows of none of these: its timesteps are spaced in one way.
const {
	timestep_spacing: _,
	steps_offset: __,
	rescale_betas_zero_snr: ___,
	euler_at_final: ____,
	use_lu_lambdas: _____,
	...shape
} = DpmSolverConfig.shape

export const SinglestepConfig = z
	.object({ ...shape, solver_order: z.int().min(1).max(3).default(2), lower_order_final: z.boolean().default(false) })
	.refine(...atMostOneRespacing)
export type SinglestepConfig = z.infer<typeof SinglestepConfig>

interface History {
	/** x where the step began whose parts these are. */
	readonly begun: Tensor | null
	/** Guesses of the picture at the latest evaluations, newest first. */
	readonly guesses: readonly Tensor[]
}

/**
 * DPM-Solver++ singlestep (Lu et al., 2022b, algorithm 1): steps of up to three evaluations, each of which goes from where its step began to one
 * place further. One of `steps` is an evaluation, as the reference counts.
 */
export function dpmSolverSinglestep(config: SinglestepConfig, steps: number): Sampler<History> {
	const training = trainingSigmas(config)
	const { timesteps, sigmas } =
		respacedLevels(config, steps, training, config.use_karras_sigmas ? roundHalfToEven : (t) => t) ??
		spacedLevels({ ...config, timestep_spacing: 'linspace', steps_offset: 0 }, steps, training, firstPlace(config))
	const end = config.final_sigmas_type === 'zero' ? 0 : training[0]!
	const places = [...Array.from(sigmas, f), end].map(placeAt)
	const parts = partsOf(config, steps)
	const stochastic = config.algorithm_type === 'sde-dpmsolver++'
	const pairs = places.map(({ alpha, sigma }) => pictureFrom(config.prediction_type, alpha, sigma))
	const limited = limit(config)

	return {
		...preserving(timesteps, places),
		start: () => ({ begun: null, guesses: [] }),
		advance({ x, history }, output, k, noise) {
			const x0 = limited(apply(pairs[k]!, x, output))
			const guesses = [x0, ...history.guesses.slice(0, config.solver_order - 1)]
			// A walk may begin in the midst of a step.
			const part = Math.min(parts[k]!, guesses.length)
			const begun = part === 1 ? x : history.begun!
			const c = update(places, k, part, config.solver_type === 'heun', stochastic)
			const weighted = c.guesses.map((weight, i): Term => [weight, guesses[i]!])
			const drawn: Term[] = stochastic ? [[c.noise, noise.normal(x.dims)]] : []
			return { x: combine([c.x, begun], ...weighted, ...drawn), history: { begun, guesses }, x0 }
		}
	}
}

/** For each evaluation, which one of its step it is. The last one may have to be a step of its own. */
function partsOf({ solver_order: order, lower_order_final, final_sigmas_type }: SinglestepConfig, steps: number): number[] {
	const alone = final_sigmas_type === 'zero' || (lower_order_final && steps % order === 0)
	return Array.from({ length: steps }, (_, k) => (alone && k === steps - 1 ? 1 : (k % order) + 1))
}

/**
 * From s (where the step began) to t; s_0 is the place of evaluation k. With h = λ_t − λ_s, m the guess at s, and r_i = (λ_si − λ_s) / h:
 *   D_1⁰ = (m_1 − m) / r_1,  D_1¹ = (m_0 − m) / r_0
 *   D_1 = (r_0 D_1⁰ − r_1 D_1¹) / (r_0 − r_1),  D_2 = 2 (D_1¹ − D_1⁰) / (r_0 − r_1)
 */
function update(places: readonly Place[], k: number, part: number, heun: boolean, stochastic: boolean) {
	const [t, s0, s1, s] = [places[k + 1]!, places[k]!, places[k - 1]!, places[k - part + 1]!]
	const { h, x, first, second, third, noise } = terms(s, t, stochastic)
	const r0 = f(s0.lambda - s.lambda) / h
	if (part === 1) {
		return { x, guesses: [first], noise }
	}
	if (part === 2) {
		const a1 = heun ? second : first / 2
		return { x, guesses: [a1 / r0, first - a1 / r0], noise }
	}
	if (!heun) {
		return { x, guesses: [second / r0, 0, first - second / r0], noise }
	}
	const r1 = f(s1.lambda - s.lambda) / h
	const d0 = (second * r0 - 2 * third) / (r0 - r1) / r1
	const d1 = (2 * third - second * r1) / (r0 - r1) / r0
	return { x, guesses: [d1, d0, first - d0 - d1], noise }
}
