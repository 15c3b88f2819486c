import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine, type Term } from './combine.ts'
import { log32 } from './log32.ts'
import { LogSnrConfig, type Place, placeAt, respacedLevels, spacedLevels } from './logsnr.ts'
import { apply, limit, pictureFrom, ThresholdConfig } from './prediction.ts'
import { preserving } from './preserving.ts'
import type { Sampler } from './sampler.ts'
import { f, ScheduleConfig } from './schedule.ts'
import { atMostOneRespacing, trainingSigmas } from './sigmas.ts'
import { roundHalfToEven } from './timesteps.ts'

const { rescale_betas_zero_snr: _, final_sigmas_type: __, ...levels } = LogSnrConfig.shape // Its class knows of neither.

export const DeisConfig = z
	.object({
		...ScheduleConfig.shape,
		...levels,
		...ThresholdConfig.shape,
		solver_order: z.int().min(1).default(2),
		// The reference takes the types of other solvers as its own.
		algorithm_type: z.enum(['deis', 'dpmsolver', 'dpmsolver++']).default('deis'),
		solver_type: z.enum(['logrho', 'midpoint', 'heun', 'bh1', 'bh2']).default('logrho')
	})
	.refine(...atMostOneRespacing)
export type DeisConfig = z.infer<typeof DeisConfig>

/** Guesses of the noise at the latest evaluations, newest first. */
type History = readonly Tensor[]

/** Coefficients of x and of the guesses. */
interface Update {
	readonly x: number
	readonly guesses: readonly number[]
}

/** DEIS (Zhang and Chen, 2023), ρAB with polynomials in log ρ: extrapolates the noise of the last steps. It ends at the least noise of training, not at none. */
export function deis(config: DeisConfig, steps: number): Sampler<History> {
	const training = trainingSigmas(config)
	const respaced = respacedLevels(config, steps, training, config.use_karras_sigmas ? roundHalfToEven : (t) => t)
	const { timesteps, sigmas } = respaced ?? spacedLevels(config, steps, training)
	const end = respaced ? respaced.sigmas[steps - 1]! : training[0]!
	const places = [...Array.from(sigmas), end].map((sigma) => placeAt(f(sigma)))
	const short = config.lower_order_final && timesteps.length < 15
	const orderAt = (k: number, guesses: number) =>
		Math.min(config.solver_order, guesses, 3, short ? timesteps.length - k : Number.POSITIVE_INFINITY)
	const pairs = places.map(({ alpha, sigma }) => pictureFrom(config.prediction_type, alpha, sigma))
	const limited = limit(config)

	return {
		...preserving(timesteps, places),
		start: () => [],
		advance({ x, history }, output, k) {
			const { alpha, sigma } = places[k]!
			const x0 = limited(apply(pairs[k]!, x, output))
			const guesses = [combine([1 / sigma, x], [-alpha / sigma, x0]), ...history.slice(0, 2)]
			const c = update(places, k, orderAt(k, guesses.length))
			return { x: combine([c.x, x], ...c.guesses.map((weight, i): Term => [weight, guesses[i]!])), history: guesses, x0 }
		}
	}
}

/**
 * From s_0 (the place of evaluation k) to t, with ρ = σ/α:
 *   x_t = α_t (x/α_s0 + Σ_i C_i ε_i),  C_i = ∫ L_i(log ρ) dρ from ρ_s0 to ρ_t        eq. 15, L_i Lagrange's polynomials through the places s_j
 * In float32: the integrals are differences of near equals, and what the reference loses there is part of its picture.
 */
function update(places: readonly Place[], k: number, order: number): Update {
	const [t, s0] = [places[k + 1]!, places[k]!]
	const rho = ({ alpha, sigma }: Place) => f(sigma / alpha)
	const logs = Array.from({ length: order }, (_, i) => log32(rho(places[k - i]!)))
	const integrals = logs.map((b, i) => {
		// In the reference's order: those after it, then those before.
		const others = [...logs.slice(i + 1), ...logs.slice(0, i)]
		return f(integral(rho(t), b, others) - integral(rho(s0), b, others))
	})
	return { x: t.alpha / s0.alpha, guesses: integrals.map((integral) => t.alpha * integral) }
}

/** Of Π (log ρ − c) / (b − c) over at most two c. */
function integral(rho: number, b: number, [c, d]: readonly number[]): number {
	const log = log32(rho)
	if (c === undefined) {
		return rho
	}
	if (d === undefined) {
		return f(f(rho * f(f(log - c) - 1)) / f(b - c))
	}
	const product = [f(c * f(f(d - log) + 1)), -f(d * log), d, f(log ** 2), -f(2 * log), 2].reduce((sum, term) => f(sum + term))
	return f(f(rho * product) / f(f(b - c) * f(b - d)))
}
