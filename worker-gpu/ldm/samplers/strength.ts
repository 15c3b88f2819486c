import type { Sampler } from './sampler.ts'

/** How many of a walk's steps are left where it begins `strength` of the way back. */
type StepsLeft = (steps: number, strength: number) => number

/** int(steps · strength), as in diffusers' `get_timesteps`. */
const whole: StepsLeft = (steps, strength) => Math.trunc(steps * strength)

/** steps − int(steps − steps · strength), as the `get_timesteps` of its pipelines of flows: a step that is left in part counts. */
export const begun: StepsLeft = (steps, strength) => steps - Math.trunc(steps - steps * strength)

/**
 * The last part of a walk, for an image that is sent back `strength` of the way (Meng et al., 2022, SDEdit). Evaluations are counted from its
 * beginning.
 */
export function lastPart<H>(sampler: Sampler<H>, steps: number, strength: number, stepsLeft = whole): Sampler<H> {
	if (!(strength >= 0 && strength <= 1)) {
		throw new RangeError(`strength: expected a number from 0 to 1, got ${strength}`)
	}
	const left = stepsLeft(steps, strength)
	// A walk that begins nearer to the picture (lambda_min_clipped) may stand at fewer places than it has steps: the first ones are missing.
	const least = Math.max(1, steps - Math.ceil(sampler.timesteps.length / sampler.order) + 1)
	if (left < least) {
		throw new RangeError(`strength: expected at least ${least / steps}, which leaves one of ${steps} steps, got ${strength}`)
	}
	const begin = (steps - left) * sampler.order
	return {
		...sampler,
		timesteps: sampler.timesteps.slice(begin),
		scale: (x, k) => sampler.scale(x, begin + k),
		renoise: (x0, e, k) => sampler.renoise(x0, e, begin + k),
		advance: (row, output, k, noise) => sampler.advance(row, output, begin + k, noise)
	}
}
