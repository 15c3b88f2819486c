import { z } from 'zod'
import { f, notImplemented } from './schedule.ts'
import { interpolate, RespacingConfig, respace, timestepOf } from './sigmas.ts'
import { assertSteps, SpacingConfig, spacedTimestepsToPicture } from './timesteps.ts'

/*
 * DPM-Solver and its kin integrate in λ = log(α/σ), half the logarithm of the signal-to-noise ratio, of x_t = α x_0 + σ ε with α² + σ² = 1.
 */

export const LogSnrConfig = z.object({
	...SpacingConfig.shape,
	...RespacingConfig.shape,
	timestep_spacing: SpacingConfig.shape.timestep_spacing.default('linspace'),
	rescale_betas_zero_snr: z.boolean().default(false),
	final_sigmas_type: z.enum(['zero', 'sigma_min']).default('zero'),
	lower_order_final: z.boolean().default(true),
	use_flow_sigmas: notImplemented,
	use_dynamic_shifting: notImplemented
})

export interface Place {
	readonly alpha: number
	readonly sigma: number
	readonly lambda: number
}

/**
 * α, σ and λ where σ/α is `ratio`, rounded as the reference rounds: differences of neighbouring λ are small, and what float32 drops of
 * them is part of the reference's picture.
 */
export function placeAt(ratio: number): Place {
	const alpha = f(1 / f(Math.sqrt(f(f(ratio * ratio) + 1))))
	const sigma = f(ratio * alpha)
	return { alpha, sigma, lambda: f(f(Math.log(alpha)) - f(Math.log(sigma))) }
}

interface Levels {
	readonly timesteps: readonly number[]
	readonly sigmas: ArrayLike<number>
}

/** @param last one past the training timestep to begin at, where that is not the end of training */
export function spacedLevels(config: SpacingConfig, steps: number, training: Float32Array, last?: number): Levels {
	const timesteps = spacedTimestepsToPicture(config, steps, last)
	return { timesteps, sigmas: interpolate(training, timesteps) }
}

/** Karras' or exponential levels over the whole of training. Their timesteps become whole numbers. */
export function respacedLevels(
	config: Parameters<typeof respace>[0],
	steps: number,
	training: Float32Array,
	whole: (t: number) => number
): Levels | undefined {
	assertSteps(steps, training.length)
	const sigmas = respace(config, training.toReversed(), steps)
	return sigmas && { timesteps: Array.from(sigmas, (sigma) => Math.trunc(whole(timestepOf(sigma, training)))), sigmas }
}

/**
 * Refuses where the reference draws NaN, for updates divide by the way from one level to the next: Karras' last one is sigma_min itself; and of as many steps as there
 * are timesteps two stand at the same.
 */
export function assertApart(updates: readonly { readonly guesses: readonly number[]; readonly noise?: number }[]): void {
	const stuck = updates.findIndex(({ guesses, noise = 0 }) => ![...guesses, noise].every(Number.isFinite))
	if (stuck >= 0) {
		throw new RangeError(
			stuck === updates.length - 1
				? 'final_sigmas_type: expected zero where the last level is sigma_min already, got sigma_min'
				: `steps: expected so few that each stands at a level of its own, got ${updates.length}`
		)
	}
}
