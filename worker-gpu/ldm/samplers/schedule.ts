import { z } from 'zod'

/** A share of what there is is taken away at each training timestep. */
export const Beta = z.number().min(0).max(1)

/** Each sampler goes over all of them: of a billion it would not come back. */
export const TrainTimesteps = z.int().min(1).max(100_000).default(1000)

/**
 * The keys that diffusers' discrete schedulers share, with the defaults of most classes: saved configs leave defaults out. Keys that a class does
 * not know are ignored, as the reference ignores them: configs carry keys of the schedulers that they were converted from.
 */
export const ScheduleConfig = z.object({
	num_train_timesteps: TrainTimesteps,
	beta_start: Beta.default(0.0001),
	beta_end: Beta.default(0.02),
	beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']).default('linear'),
	trained_betas: z.array(Beta).min(1).nullish(),
	prediction_type: z.enum(['epsilon', 'sample', 'v_prediction']).default('epsilon')
})

/** Known to the reference, and would change the picture: better refused than ignored. */
export const notImplemented = z.literal(false, 'expected false: there is no sampler for this').nullish()

interface Schedule extends Omit<z.infer<typeof ScheduleConfig>, 'beta_schedule'> {
	readonly beta_schedule: 'linear' | 'scaled_linear' | 'squaredcos_cap_v2' | 'sigmoid' | 'laplace' | 'exp'
	readonly rescale_betas_zero_snr?: boolean
}

/** torch works in float32, and 1 − ᾱ magnifies what that rounds off: near the picture ᾱ is 0.9991. */
export const f = Math.fround

/**
 * ᾱ_t = Π (1 − β_s) for s ≤ t: how much of the picture is left at each training timestep. Bit for bit as torch has it: the
 * betas in float32, their product in double, each ᾱ stored as float32.
 */
export function alphasCumprod(config: Schedule): Float32Array {
	const schedule = betas(config)
	return cumprod(config.rescale_betas_zero_snr ? zeroTerminalSnr(schedule) : schedule)
}

function cumprod(betas: Float32Array): Float32Array {
	let product = 1
	return betas.map((beta) => {
		product *= f(1 - beta)
		return product
	})
}

function betas({ num_train_timesteps: n, beta_start, beta_end, beta_schedule, trained_betas }: Schedule): Float32Array {
	if (trained_betas) {
		return Float32Array.from(trained_betas)
	}
	switch (beta_schedule) {
		case 'linear':
			return linspace32(beta_start, beta_end, n)
		case 'scaled_linear': // Stable Diffusion and LDM: linear in √β
			return linspace32(Math.sqrt(beta_start), Math.sqrt(beta_end), n).map((root) => root * root)
		case 'sigmoid': // GeoDiff
			return linspace32(-6, 6, n).map((x) => f(f(1 / f(1 + f(Math.exp(-x)))) * f(beta_end - beta_start)) + f(beta_start))
		case 'squaredcos_cap_v2': // Nichol and Dhariwal, 2021
			return fromAlphaBar(n, (t) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2)
		case 'exp':
			return fromAlphaBar(n, (t) => Math.exp(-12 * t))
		case 'laplace':
			return fromAlphaBar(n, (t) => {
				const snr = Math.exp(-0.5 * (t > 0.5 ? -1 : 1) * Math.log(1 - 2 * Math.abs(0.5 - t) + 1e-6))
				return Math.sqrt(snr / (1 + snr))
			})
	}
}

const fromAlphaBar = (n: number, bar: (t: number) => number) =>
	Float32Array.from({ length: n }, (_, i) => Math.min(1 - bar((i + 1) / n) / bar(i / n), 0.999))

/** Lin et al., 2024, algorithm 1: shifts and scales √ᾱ so that nothing is left of the picture at the last timestep. */
function zeroTerminalSnr(betas: Float32Array): Float32Array {
	const roots = cumprod(betas).map(Math.sqrt)
	const first = roots[0]!
	const last = roots.at(-1)!
	const scale = f(first / f(first - last))
	const bar = roots.map((root) => f(f(root - last) * scale) ** 2)
	return bar.map((value, t) => 1 - (t === 0 ? value : f(value / bar[t - 1]!)))
}

/** As `torch.linspace`: float32, from both ends towards the middle, each value rounded once. */
export function linspace32(from: number, to: number, count: number): Float32Array {
	const [a, b] = [f(from), f(to)]
	const step = count > 1 ? f(f(b - a) / (count - 1)) : 0
	return Float32Array.from({ length: count }, (_, i) =>
		i < count >> 1 || count === 1 ? a + step * i : b - step * (count - 1 - i)
	)
}
