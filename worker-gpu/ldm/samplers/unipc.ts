import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine, type Term } from './combine.ts'
import { assertApart, LogSnrConfig, type Place, placeAt, respacedLevels, spacedLevels } from './logsnr.ts'
import { apply, limit, noiseFrom, pictureFrom, ThresholdConfig } from './prediction.ts'
import { preserving } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { f, ScheduleConfig } from './schedule.ts'
import { atMostOneRespacing, trainingSigmas } from './sigmas.ts'
import { roundHalfToEven } from './timesteps.ts'

export const UniPcConfig = z
	.object({
		...ScheduleConfig.shape,
		...LogSnrConfig.shape,
		...ThresholdConfig.shape,
		solver_order: z.int().min(1).default(2),
		// The reference takes the types of other solvers as bh2.
		solver_type: z.enum(['bh1', 'bh2', 'midpoint', 'heun', 'logrho']).default('bh2'),
		/** Extrapolates guesses of the picture, or else of the noise. */
		predict_x0: z.boolean().default(true),
		/** Steps after which x is left as predicted. */
		disable_corrector: z.array(z.int()).default([]),
		solver_p: z.null('expected null: there is no sampler for a predictor of its own').optional(),
		shift_terminal: z.null('expected null: FlowMatchEulerDiscreteScheduler is the one for flows').optional()
	})
	.refine(...atMostOneRespacing)
	.refine(
		({ final_sigmas_type, solver_type, predict_x0, lower_order_final, solver_order }) =>
			final_sigmas_type === 'sigma_min' || (solver_type !== 'bh1' && predict_x0 && (lower_order_final || solver_order === 1)),
		'expected final_sigmas_type to be sigma_min: a step to σ = 0 is infinite with bh1, without predict_x0, or without lower_order_final'
	)
export type UniPcConfig = z.infer<typeof UniPcConfig>

interface History {
	/** The latest guesses of the picture (or the noise), newest first. */
	readonly guesses: readonly Tensor[]
	/** x at the previous evaluation, corrected. */
	readonly previous: Tensor | null
}

/** Coefficients of x, of the guesses up to s_0 (newest first), and for the corrector of the guess at t. */
interface Update {
	readonly x: number
	readonly guesses: readonly number[]
	readonly reached: number
}

/**
 * UniPC (Zhao et al., 2023): the network's answer at t first corrects the step that led to t (UniC), then predicts the next one (UniP), so
 * that the corrector costs no evaluations.
 */
export function uniPc(config: UniPcConfig, steps: number): Sampler<History> {
	const training = trainingSigmas(config)
	const respaced = respacedLevels(config, steps, training, config.use_karras_sigmas ? roundHalfToEven : (t) => t)
	const { timesteps, sigmas } = respaced ?? spacedLevels(config, steps, training)
	const smallest = respaced ? respaced.sigmas[steps - 1]! : training[0]!
	const places = [...Array.from(sigmas), config.final_sigmas_type === 'zero' ? 0 : smallest].map((sigma) => placeAt(f(sigma)))
	/** @param guesses how many there are */
	const orderAt = (k: number, guesses: number) =>
		Math.min(config.solver_order, guesses, config.lower_order_final ? timesteps.length - k : Number.POSITIVE_INFINITY)
	const predictor = (k: number, guesses: number) => update(config, places, k, orderAt(k, guesses), false)
	const corrector = (k: number, guesses: number) => update(config, places, k - 1, orderAt(k - 1, guesses), true)
	assertApart(timesteps.map((_, k) => predictor(k, k + 1)))
	const pictures = places.map(({ alpha, sigma }) => pictureFrom(config.prediction_type, alpha, sigma))
	const noises = places.map(({ alpha, sigma }) => noiseFrom(config.prediction_type, alpha, sigma))
	const limited = limit(config)

	return {
		...preserving(timesteps, places),
		start: () => ({ guesses: [], previous: null }),
		advance({ x: predicted, history }, output, k) {
			const picture = apply(pictures[k]!, predicted, output)
			const x0 = config.predict_x0 ? limited(picture) : picture
			const guess = config.predict_x0 ? x0 : apply(noises[k]!, predicted, output)
			const step = (c: Update, from: Tensor, guesses: readonly Tensor[]) =>
				combine([c.x, from], ...c.guesses.map((weight, i): Term => [weight, guesses[i]!]), [c.reached, guess])
			const { previous } = history
			const corrected = previous && !config.disable_corrector.includes(k - 1)
			const x = corrected ? step(corrector(k, history.guesses.length), previous, history.guesses) : predicted
			const guesses = [guess, ...history.guesses.slice(0, config.solver_order - 1)]
			return { x: step(predictor(k, guesses.length), x, guesses), history: { guesses, previous: x }, x0 }
		}
	}
}

/**
 * From s_0 (the place of evaluation k) to t. With h = λ_t − λ_s0, negated where the picture is extrapolated:
 *   r_i = (λ_si − λ_s0) / (λ_t − λ_s0)
 *   φ_1 = e^h − 1,  φ_(n+1) = φ_n / h − 1/n!,  B = h (bh1) or φ_1 (bh2)
 *   Σ_j ρ_j r_j^(i−1) = φ_(i+1) i! / B      for i = 1 … p                      eq. 5 and theorem 3.1
 *   x_t = σ_t/σ_s0 x − α_t φ_1 m_0 − α_t B (Σ_j ρ_j (m_j − m_0)/r_j [+ ρ_p (m_t − m_0)])        eq. 8 [eq. 3]
 * where α and σ change places for the noise. In float32: the φ lose all but a few digits, and the reference's loss is part of its picture.
 */
function update(config: UniPcConfig, places: readonly Place[], k: number, order: number, corrector: boolean): Update {
	const [t, s0] = [places[k + 1]!, places[k]!]
	const length = f(t.lambda - s0.lambda)
	const h = config.predict_x0 ? -length : length
	const ratios = Array.from({ length: order - 1 }, (_, i) => f(f(places[k - i - 1]!.lambda - s0.lambda) / length))
	const phi1 = f(Math.expm1(h))
	const b = config.solver_type === 'bh1' ? h : phi1

	const right: number[] = []
	let phi = f(f(phi1 / h) - 1)
	let factorial = 1
	for (let i = 1; i <= order; i++) {
		right.push(f(f(phi * factorial) / b))
		factorial *= i + 1
		phi = f(f(phi / h) - f(1 / factorial))
	}
	const rho = weights([...ratios, 1], right, corrector)

	const [from, to] = config.predict_x0 ? ([s0.sigma, t.sigma] as const) : ([s0.alpha, t.alpha] as const)
	const scale = config.predict_x0 ? t.alpha : t.sigma
	const others = ratios.map((ratio, i) => (-scale * b * rho[i]!) / ratio)
	const reached = corrector ? -scale * b * rho[order - 1]! : 0
	const newest = -scale * phi1 - others.reduce((sum, weight) => sum + weight, 0) - reached
	return { x: to / from, guesses: [newest, ...others], reached }
}

/** ρ: for the corrector of the whole system, for the predictor of all but its last row and column; constants at the lowest orders. */
function weights(ratios: readonly number[], right: readonly number[], corrector: boolean): number[] {
	const count = corrector ? ratios.length : ratios.length - 1
	if (count === 0) {
		return []
	}
	if (count === 1) {
		return [0.5]
	}
	const matrix = Array.from({ length: count }, (_, i) => ratios.slice(0, count).map((ratio) => f(ratio ** i)))
	return solve(matrix, right.slice(0, count))
}

/** Gaussian elimination with partial pivoting, in float32. */
function solve(matrix: number[][], right: number[]): number[] {
	const rows = matrix.map((row, i) => [...row, right[i]!])
	const n = rows.length
	for (let i = 0; i < n; i++) {
		const pivot = rows.slice(i).reduce((best, row, j) => (Math.abs(row[i]!) > Math.abs(rows[best]![i]!) ? i + j : best), i)
		;[rows[i], rows[pivot]] = [rows[pivot]!, rows[i]!]
		for (let j = i + 1; j < n; j++) {
			const factor = f(rows[j]![i]! / rows[i]![i]!)
			rows[j] = rows[j]!.map((value, c) => f(value - f(factor * rows[i]![c]!)))
		}
	}
	const solution: number[] = []
	for (let i = n - 1; i >= 0; i--) {
		const known = solution.reduce((sum, value, j) => f(sum - f(rows[i]![n - 1 - j]! * value)), rows[i]![n]!)
		solution.push(f(known / rows[i]![i]!))
	}
	return solution.reverse()
}
