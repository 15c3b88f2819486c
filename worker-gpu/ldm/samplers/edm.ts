import { z } from 'zod'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine } from './combine.ts'
import { DpmSolverConfig, multistep } from './dpm-solver.ts'
import { apply, limit, ThresholdConfig } from './prediction.ts'
import type { Sampler } from './sampler.ts'
import { f, linspace32, TrainTimesteps } from './schedule.ts'
import { assertSteps, linspace } from './timesteps.ts'

/*
 * Karras et al. (2022): networks that were trained on noise levels σ from sigma_min to sigma_max, not on timesteps, with the preconditioning of their table 1.
 * Playground v2.5 is one.
 */

const Config = z.object({
	sigma_min: z.number().positive().default(0.002),
	sigma_max: z.number().positive().default(80),
	sigma_data: z.number().positive().default(0.5),
	sigma_schedule: z.enum(['karras', 'exponential']).default('karras'),
	num_train_timesteps: TrainTimesteps,
	prediction_type: z.enum(['epsilon', 'v_prediction']).default('epsilon'),
	rho: z.number().positive().default(7),
	final_sigmas_type: z.enum(['zero', 'sigma_min']).default('zero')
})
type Config = z.infer<typeof Config>

const { solver_order, algorithm_type, solver_type, lower_order_final, euler_at_final } = DpmSolverConfig.shape

export const EdmEulerConfig = Config
export const EdmDpmSolverConfig = z
	.object({
		...Config.shape,
		...ThresholdConfig.shape,
		solver_order,
		algorithm_type,
		solver_type,
		lower_order_final,
		euler_at_final
	})
	.refine(
		({ algorithm_type, solver_order }) => algorithm_type === 'dpmsolver++' || solver_order < 3,
		'expected solver_order to be 1 or 2 with sde-dpmsolver++'
	)
type EdmDpmSolverConfig = z.infer<typeof EdmDpmSolverConfig>

/** Euler's method in σ: algorithm 2 without churn. */
export function edmEuler(config: Config, steps: number): Sampler<null> {
	const ramp = linspace(0, 1, steps)
	const { sigmas, guess, ...shared } = edm(config, steps, (from, to) => ramp.map((at) => (from + at * (to - from)) ** config.rho))
	const all = [...sigmas, config.final_sigmas_type === 'zero' ? 0 : sigmas.at(-1)!]
	return {
		...shared,
		order: 1,
		start: () => null,
		renoise: (x0, e, k) => combine([1, x0], [all[k]!, e]),
		advance({ x }, output, k) {
			const x0 = guess(x, output, k)
			const left = all[k + 1]! / all[k]!
			return { x: combine([left, x], [1 - left, x0]), history: null, x0 }
		}
	}
}

/** DPM-Solver++ multistep, in the same σ. */
export function edmDpmSolver(config: EdmDpmSolverConfig, steps: number): Sampler {
	const ramp = linspace32(0, 1, steps)
	const { sigmas, guess, ...shared } = edm(config, steps, (from, to) =>
		ramp.map((at) => f(f(from) + f(at * f(to - from))) ** config.rho)
	)
	const all = [...sigmas, config.final_sigmas_type === 'zero' ? 0 : f(config.sigma_min)]
	const places = all.map((sigma) => ({ alpha: 1, sigma, lambda: -f(Math.log(sigma)) }))
	const limited = limit(config)
	return { ...multistep(config, shared.timesteps, places, (x, output, k) => limited(guess(x, output, k))), ...shared }
}

/** What both share. @param karras even steps from the ρ-th root of sigma_max to that of sigma_min, each to the power of ρ */
function edm(config: Config, steps: number, karras: (from: number, to: number) => ArrayLike<number>) {
	const { sigma_min, sigma_max, sigma_data: data, sigma_schedule, rho, prediction_type } = config
	assertSteps(steps, config.num_train_timesteps)
	const levels =
		sigma_schedule === 'karras'
			? karras(sigma_max ** (1 / rho), sigma_min ** (1 / rho))
			: linspace32(Math.log(sigma_min), Math.log(sigma_max), steps).map(Math.exp).reverse()
	const sigmas = Array.from(levels, f)
	const sign = prediction_type === 'epsilon' ? 1 : -1
	const coefficients = sigmas.map((sigma) => {
		const variance = sigma ** 2 + data ** 2
		return { skip: data ** 2 / variance, out: (sign * sigma * data) / Math.sqrt(variance), in: 1 / Math.sqrt(variance) }
	})
	return {
		sigmas,
		/** The network is told log σ / 4. */
		timesteps: sigmas.map((sigma) => f(0.25 * f(Math.log(sigma)))),
		initialSigma: Math.sqrt(sigma_max ** 2 + 1),
		scale: (x: Tensor, k: number) => combine([coefficients[k]!.in, x]),
		guess: (x: Tensor, output: Tensor, k: number) => apply([coefficients[k]!.skip, coefficients[k]!.out], x, output)
	}
}
