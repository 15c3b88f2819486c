import { z } from 'zod'

/** How the evaluations are spread over the training timesteps: Lin et al., 2024, table 2. Classes differ in their default. */
export const SpacingConfig = z.object({
	timestep_spacing: z.enum(['leading', 'trailing', 'linspace']),
	/** Below zero a walk would end past the picture, where the reference takes the last training timestep's noise. */
	steps_offset: z.int().min(0).default(0)
})
export type SpacingConfig = z.infer<typeof SpacingConfig> & { readonly num_train_timesteps: number }

/** The training timesteps that `steps` evaluations stand at, from noise to picture: whole numbers, but for unrounded linspace. */
export function spacedTimesteps(config: SpacingConfig, steps: number, { rounded = true } = {}): number[] {
	const { num_train_timesteps: n, timestep_spacing, steps_offset } = config
	assertSteps(steps, n)
	switch (timestep_spacing) {
		case 'leading': {
			const stride = Math.floor(n / steps)
			return countdown(steps).map((i) => i * stride + steps_offset)
		}
		case 'linspace': {
			const even = linspace(0, n - 1, steps)
			return countdown(steps).map((i) => (rounded ? roundHalfToEven(even[i]!) : Math.fround(even[i]!)))
		}
		case 'trailing':
			return trailing(n, n / steps)
	}
}

/** The same for solvers that count the picture itself as a place to stand, the last of steps + 1, which needs no evaluation. */
export function spacedTimestepsToPicture(config: SpacingConfig, steps: number, last = config.num_train_timesteps): number[] {
	const { num_train_timesteps: n, timestep_spacing, steps_offset } = config
	assertSteps(steps, n)
	switch (timestep_spacing) {
		case 'leading': {
			const stride = Math.floor(last / (steps + 1))
			return countdown(steps).map((i) => (i + 1) * stride + steps_offset)
		}
		case 'linspace': {
			const even = linspace(0, last - 1, steps + 1)
			return countdown(steps).map((i) => roundHalfToEven(even[i + 1]!))
		}
		case 'trailing':
			return trailing(last, n / steps)
	}
}

export function assertSteps(steps: number, most: number): void {
	if (!Number.isInteger(steps) || steps < 1 || steps > most) {
		throw new RangeError(`steps: expected an integer from 1 to ${most}, got ${steps}`)
	}
}

/** Refuses timesteps past the last one of training, which `steps_offset` can lead to: there is no ᾱ for them. */
export function assertTrained(timesteps: readonly number[], alphas: ArrayLike<number>): void {
	const beyond = timesteps.find((t) => t >= alphas.length)
	if (beyond !== undefined) {
		throw new RangeError(
			`steps: expected so few that every timestep is below ${alphas.length}, got ${beyond} of ${timesteps.length} evaluations`
		)
	}
}

const countdown = (steps: number) => Array.from({ length: steps }, (_, i) => steps - 1 - i)

/**
 * round(from, from − stride, … > 0) − 1. The reference's floating-point range has one place too many for some counts (61, 103 and 60 more
 * of the first thousand), at t = −1, which spoils its picture. Here it ends where it should.
 */
function trailing(from: number, stride: number): number[] {
	const delta = from - stride - from // As numpy.arange counts.
	const count = Math.ceil(from / stride - 1e-6)
	return Array.from({ length: count }, (_, i) => roundHalfToEven(from + i * delta) - 1)
}

/** As numpy's, in double precision. */
export function linspace(from: number, to: number, count: number): Float64Array {
	const step = (to - from) / (count - 1)
	return Float64Array.from({ length: count }, (_, i) => (i === 0 ? from : i === count - 1 ? to : from + step * i))
}

/** As numpy rounds. */
export function roundHalfToEven(value: number): number {
	const floor = Math.floor(value)
	return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value)
}
