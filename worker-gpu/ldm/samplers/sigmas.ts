import { z } from 'zod'
import { log32 } from './log32.ts'
import { alphasCumprod, f } from './schedule.ts'
import { linspace } from './timesteps.ts'

/** Ways to spread the noise levels that do not follow the timesteps. At most one of them is on. */
export const RespacingConfig = z.object({
	use_karras_sigmas: z.boolean().nullish(),
	use_exponential_sigmas: z.boolean().nullish(),
	use_beta_sigmas: z.boolean().nullish(),
	/** Ends of the respaced levels; those of the schedule by default. */
	sigma_min: z.number().positive().nullish(),
	sigma_max: z.number().positive().nullish()
})
export type RespacingConfig = z.infer<typeof RespacingConfig>

export const atMostOneRespacing = [
	({ use_karras_sigmas: karras, use_exponential_sigmas: exponential, use_beta_sigmas: beta }: RespacingConfig) =>
		[karras, exponential, beta].filter(Boolean).length <= 1,
	'expected at most one of use_karras_sigmas, use_exponential_sigmas and use_beta_sigmas'
] as const

/** σ_t = √((1 − ᾱ_t) / ᾱ_t), the noise-to-signal ratio at each training timestep; float32, rising. */
export function trainingSigmas(config: Parameters<typeof alphasCumprod>[0]): Float32Array {
	const sigmas = alphasCumprod(config).map((alpha) => Math.sqrt(f(f(1 - alpha) / alpha)))
	if (config.rescale_betas_zero_snr) {
		sigmas[sigmas.length - 1] = 4096 // ᾱ = 2^−24 in place of 0, else the last σ would be infinite.
	}
	return sigmas
}

/** σ at timesteps between the training ones; beyond the ends, that of the end. */
export function interpolate(sigmas: Float32Array, timesteps: readonly number[]): Float64Array {
	const last = sigmas.length - 1
	return Float64Array.from(timesteps, (t) => {
		const low = Math.min(Math.max(Math.floor(t), 0), last)
		const start = sigmas[low]!
		return low === last || t <= low ? start : (sigmas[low + 1]! - start) * (t - low) + start
	})
}

/**
 * So many levels between the ends of `levels` (falling), or undefined where the config follows the timesteps.
 *
 * @param even in log σ, whose ends are float32: the timestep of the first is the last one's, to the bit
 */
export function respace(
	config: RespacingConfig & { readonly even?: boolean | null | undefined },
	levels: ArrayLike<number>,
	count: number
): Float64Array | undefined {
	const max = config.sigma_max ?? levels[0]!
	const min = config.sigma_min ?? levels[levels.length - 1]!
	if (config.use_karras_sigmas) {
		// Karras et al., 2022, eq. 5: even in σ^(1/ρ)
		const rho = 7
		const [from, to] = [max ** (1 / rho), min ** (1 / rho)]
		return linspace(0, 1, count).map((ramp) => (from + ramp * (to - from)) ** rho)
	}
	if (config.even) {
		const [from, to] = [log32(max), log32(min)]
		return linspace(0, 1, count).map((ramp) => Math.exp(from + ramp * (to - from)))
	}
	if (config.use_exponential_sigmas) {
		return linspace(Math.log(max), Math.log(min), count).map(Math.exp)
	}
	if (config.use_beta_sigmas) {
		// Lee et al., 2024 (Beta Sampling is All You Need): dense at both ends
		return linspace(0, 1, count).map((ramp) => min + betaQuantile(1 - ramp) * (max - min))
	}
	return undefined
}

/** Where a share `p` of the Beta(0.6, 0.6) distribution lies below: the inverse of its regularised incomplete beta function. */
function betaQuantile(p: number): number {
	if (p > 0.5) {
		return 1 - betaQuantile(1 - p) // It is symmetric, and half of it lies below ½.
	}
	let [low, high] = [0, 0.5]
	for (let i = 0; i < 60; i++) {
		const middle = (low + high) / 2
		;[low, high] = incompleteBeta(middle) / incompleteBeta(0.5) < 2 * p ? [middle, high] : [low, middle]
	}
	return high
}

/** ∫ t^(a−1) (1−t)^(a−1) dt from 0 to x, for a = 0.6 and x up to ½: x^a Σ (1−a)_n x^n / (n! (a+n)), DLMF 8.17.7. */
function incompleteBeta(x: number): number {
	const a = 0.6
	let [term, sum] = [1, 0]
	for (let n = 0; n < 60; n++) {
		sum += term / (a + n)
		term *= ((1 - a + n) / (n + 1)) * x
	}
	return x ** a * sum
}

/**
 * The timestep at which the schedule has this noise, by interpolation in log σ: the inverse of `interpolate`, nearly.
 *
 * @param single in float32 all the way, as the reference has it where σ is a tensor: neighbouring logarithms are so near that it shows
 */
export function timestepOf(sigma: number, training: Float32Array, single = false): number {
	const rounded = single ? f : (value: number) => value
	const log = single ? log32(Math.max(sigma, f(1e-10))) : Math.log(Math.max(sigma, 1e-10))
	const logs = (t: number) => log32(training[t]!)
	// The last that is not above it: with zero terminal SNR the one before the last may be more than the last.
	const reached = training.findLastIndex((value) => log32(value) <= log)
	const low = Math.max(Math.min(reached, training.length - 2), 0)
	const w = rounded(rounded(logs(low) - log) / f(logs(low) - logs(low + 1)))
	const clipped = Math.min(Math.max(w, 0), 1)
	return rounded(rounded(rounded(1 - clipped) * low) + rounded(clipped * (low + 1)))
}
