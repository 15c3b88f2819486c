import { z } from 'zod'

/** The keys that all of diffusers' discrete schedulers share, with their class defaults: saved configs leave defaults out. */
export const ScheduleConfig = z.object({
	num_train_timesteps: z.int().min(1).default(1000),
	beta_start: z.number().default(0.0001),
	beta_end: z.number().default(0.02),
	beta_schedule: z.enum(['linear', 'scaled_linear', 'squaredcos_cap_v2']).default('linear'),
	trained_betas: z.array(z.number()).nullish(),
	timestep_spacing: z.enum(['leading', 'trailing', 'linspace']).default('leading'),
	steps_offset: z.int().default(0)
})
export type ScheduleConfig = z.infer<typeof ScheduleConfig>

/** ᾱ_t = Π (1 − β_s) for s ≤ t: how much of the picture is left at each training timestep. */
export function alphasCumprod(config: ScheduleConfig): Float64Array {
	let product = 1
	return Float64Array.from(betas(config), (beta) => {
		product *= 1 - beta
		return product
	})
}

function betas({
	num_train_timesteps: n,
	beta_start,
	beta_end,
	beta_schedule,
	trained_betas
}: ScheduleConfig): ArrayLike<number> {
	if (trained_betas) {
		return trained_betas
	}
	switch (beta_schedule) {
		case 'linear':
			return linspace(beta_start, beta_end, n)
		case 'scaled_linear': // Stable Diffusion and LDM: linear in √β
			return linspace(Math.sqrt(beta_start), Math.sqrt(beta_end), n).map((root) => root * root)
		case 'squaredcos_cap_v2': {
			const bar = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2
			return Float64Array.from({ length: n }, (_, i) => Math.min(1 - bar((i + 1) / n) / bar(i / n), 0.999))
		}
	}
}

/** The training timesteps that `steps` evaluations stand at, from noise to picture. */
export function spacedTimesteps(config: ScheduleConfig, steps: number): number[] {
	const n = config.num_train_timesteps
	if (!Number.isInteger(steps) || steps < 1 || steps > n) {
		throw new RangeError(`steps: expected an integer from 1 to ${n}, got ${steps}`)
	}
	const timesteps = space(config, steps)
	if (timesteps[0]! >= n) {
		throw new RangeError(`steps: expected so few that the first timestep is below ${n}, got ${timesteps[0]} of ${steps} steps`)
	}
	return timesteps
}

function space({ num_train_timesteps: n, timestep_spacing, steps_offset }: ScheduleConfig, steps: number): number[] {
	const countdown = Array.from({ length: steps }, (_, i) => steps - 1 - i)
	switch (timestep_spacing) {
		case 'leading':
			return countdown.map((i) => i * Math.floor(n / steps) + steps_offset)
		case 'linspace': {
			const even = linspace(0, n - 1, steps)
			return countdown.map((i) => roundHalfToEven(even[i]!))
		}
		case 'trailing':
			return countdown.map((_, i) => roundHalfToEven(n - i * (n / steps)) - 1)
	}
}

function linspace(from: number, to: number, count: number): Float64Array {
	return Float64Array.from({ length: count }, (_, i) => (count === 1 ? from : from + ((to - from) * i) / (count - 1)))
}

/** As numpy rounds. */
function roundHalfToEven(value: number): number {
	const floor = Math.floor(value)
	return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value)
}
