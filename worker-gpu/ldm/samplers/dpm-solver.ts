import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine, type Term } from './combine.ts'
import { assertApart, LogSnrConfig, type Place, placeAt, respacedLevels, spacedLevels } from './logsnr.ts'
import { apply, limit, pictureFrom, ThresholdConfig } from './prediction.ts'
import { preserving } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { alphasCumprod, f, ScheduleConfig } from './schedule.ts'
import { atMostOneRespacing, trainingSigmas } from './sigmas.ts'
import { roundHalfToEven } from './timesteps.ts'

export const DpmSolverConfig = z
	.object({
		...ScheduleConfig.shape,
		...LogSnrConfig.shape,
		...ThresholdConfig.shape,
		solver_order: z.int().min(1).default(2),
		algorithm_type: z.enum(['dpmsolver++', 'sde-dpmsolver++']).default('dpmsolver++'),
		// The reference takes the types of other solvers as midpoint.
		solver_type: z.enum(['midpoint', 'heun', 'logrho', 'bh1', 'bh2']).default('midpoint'),
		euler_at_final: z.boolean().default(false),
		/** Walks begin no nearer to pure noise than this λ. */
		lambda_min_clipped: z.union([z.number(), z.literal(Number.NEGATIVE_INFINITY)]).default(Number.NEGATIVE_INFINITY),
		// Schedulers of other classes say which of the fixed ones, of which this one takes no notice.
		variance_type: z
			.string()
			.regex(/^(?!learned)/, 'expected none: there is no sampler for learned variances')
			.nullish(),
		/** Levels even in λ, over the whole of training. */
		use_lu_lambdas: z.boolean().nullish()
	})
	.refine(...atMostOneRespacing)
export type DpmSolverConfig = z.infer<typeof DpmSolverConfig>

/** Guesses of the picture at the latest evaluations, newest first. */
type History = readonly Tensor[]

/** Coefficients of x, of the guesses (newest first) and of noise. */
interface Update {
	readonly x: number
	readonly guesses: readonly number[]
	readonly noise: number
}

/** DPM-Solver++ multistep (Lu et al., 2022b), as an ODE or as an SDE. */
export function dpmSolver(config: DpmSolverConfig, steps: number): Sampler<History> {
	const training = trainingSigmas(config)
	const even = config.use_lu_lambdas && !config.use_karras_sigmas
	const spread = even ? { even } : config // λ is −log σ/α.
	const whole = (even || config.use_karras_sigmas) && config.beta_schedule !== 'squaredcos_cap_v2'
	const { timesteps, sigmas } =
		respacedLevels(spread, steps, training, whole ? roundHalfToEven : (t) => t) ??
		spacedLevels(config, steps, training, firstPlace(config))
	const end = config.final_sigmas_type === 'zero' ? 0 : training[0]!
	const places = [...Array.from(sigmas, f), end].map(placeAt)
	const pairs = places.map(({ alpha, sigma }) => pictureFrom(config.prediction_type, alpha, sigma))
	const limited = limit(config)
	return multistep(config, timesteps, places, (x, output, k) => limited(apply(pairs[k]!, x, output)))
}

type Solver = Pick<
	DpmSolverConfig,
	'solver_order' | 'solver_type' | 'algorithm_type' | 'lower_order_final' | 'euler_at_final' | 'final_sigmas_type'
>

/**
 * @param places where the evaluations stand, and one more, where the walk ends
 * @param guess x̂_0 by the network's answer at evaluation k
 */
export function multistep(
	config: Solver,
	timesteps: readonly number[],
	places: readonly Place[],
	guess: (x: Tensor, output: Tensor, k: number) => Tensor
): Sampler<History> {
	const stochastic = config.algorithm_type === 'sde-dpmsolver++'
	const most = orders(config, timesteps.length)
	const updateAt = (k: number, guesses: number) =>
		update(places, k, Math.min(most[k]!, guesses), config.solver_type === 'heun', stochastic)
	assertApart(timesteps.map((_, k) => updateAt(k, k + 1)))

	return {
		...preserving(timesteps, places),
		start: () => [],
		advance({ x, history }, output, k, noise) {
			const x0 = guess(x, output, k)
			const guesses = [x0, ...history.slice(0, 2)]
			const c = updateAt(k, guesses.length)
			const weighted = c.guesses.map((weight, i): Term => [weight, guesses[i]!])
			const drawn: Term[] = stochastic ? [[c.noise, noise.normal(x.dims)]] : []
			return { x: combine([c.x, x], ...weighted, ...drawn), history: guesses, x0 }
		}
	}
}

/** The order of each update where there are guesses enough: low at the end of a short walk. */
function orders(config: Solver, count: number): number[] {
	const short = config.lower_order_final && count < 15
	const onlyFirst = config.euler_at_final || short || config.final_sigmas_type === 'zero'
	return Array.from({ length: count }, (_, k) => {
		const left = count - k
		const most = left === 1 && onlyFirst ? 1 : left === 2 && short ? 2 : 3
		return Math.min(config.solver_order, most)
	})
}

/** One past the training timestep that walks begin at. */
export function firstPlace(config: Parameters<typeof alphasCumprod>[0] & Pick<DpmSolverConfig, 'lambda_min_clipped'>): number {
	const alphas = alphasCumprod(config)
	const lambdas = alphas.map((alpha) => f(Math.log(f(Math.sqrt(alpha)))) - f(Math.log(f(Math.sqrt(1 - alpha)))))
	return lambdas.filter((lambda) => lambda >= config.lambda_min_clipped).length
}

/**
 * From s_0 (the place of evaluation k) to t; s_1 and s_2 lie before s_0. In the notation of the reference, with h = λ_t − λ_s0:
 *   r_i = (λ_si − λ_s(i+1)) / h
 *   D_0 = m_0,  D_1⁰ = (m_0 − m_1) / r_0,  D_1¹ = (m_1 − m_2) / r_1
 *   D_1 = D_1⁰ + r_0/(r_0+r_1) (D_1⁰ − D_1¹),  D_2 = (D_1⁰ − D_1¹) / (r_0+r_1)
 *   x_t = σ_t/σ_s0 x − α_t (e^−h − 1) D_0 − a_1 D_1 − a_2 D_2                  ODE: Lu et al., 2022b, eq. 9 and algorithm 2
 *   x_t = σ_t/σ_s0 e^−h x + α_t (1 − e^−2h) D_0 + … + σ_t √(1 − e^−2h) z       SDE: appendix B.4
 */
function update(places: readonly Place[], k: number, order: number, heun: boolean, stochastic: boolean): Update {
	const [t, s0, s1, s2] = [places[k + 1]!, places[k]!, places[k - 1]!, places[k - 2]!]
	const { h, x, first, second, third, noise } = terms(s0, t, stochastic)
	if (order === 1) {
		return { x, guesses: [first], noise }
	}
	const r0 = f(s0.lambda - s1.lambda) / h
	if (order === 2) {
		const a1 = heun ? second : first / 2
		return { x, guesses: [first + a1 / r0, -a1 / r0], noise }
	}
	const r1 = f(s1.lambda - s2.lambda) / h
	// D_1 and D_2 by their coefficients of D_1⁰ and D_1¹.
	const d0 = second * (1 + r0 / (r0 + r1)) + third / (r0 + r1)
	const d1 = -second * (r0 / (r0 + r1)) - third / (r0 + r1)
	return { x, guesses: [first + d0 / r0, -d0 / r0 + d1 / r1, -d1 / r1], noise }
}

/** What stands before x, D_0, D_1, D_2 and z on the way from s to t. */
export function terms(s: Place, t: Place, stochastic: boolean) {
	const h = f(t.lambda - s.lambda)
	/** ∫ over the step of the exponential weight, negated: the ODE's and the SDE's differ by a factor of 2 in h. */
	const g = stochastic ? 2 * h : h
	const phi1 = Math.expm1(-g)
	return {
		h,
		x: (t.sigma / s.sigma) * (stochastic ? Math.exp(-h) : 1),
		first: -t.alpha * phi1,
		second: t.alpha * (phi1 / g + 1),
		third: t.alpha * (stochastic ? (-phi1 - g) / g ** 2 - 0.5 : -((phi1 + g) / g ** 2 - 0.5)),
		noise: stochastic ? t.sigma * Math.sqrt(-Math.expm1(-2 * h)) : 0
	}
}
