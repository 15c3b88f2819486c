const second = 1_000
const minute = 60 * second
const hour = 60 * minute

/** Standard Webhooks' schedule: milliseconds before each attempt, counted from the one before; about three days in all. */
const pauses = [0, 5 * second, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, 24 * hour]

/** A receiver may ask for patience, but not for being forgotten. */
const longest = 24 * hour

/**
 * Milliseconds until the next attempt after `tries` that failed, up to a tenth more or less, so that what failed together does not come
 * back together. `retryAfter`: seconds that the receiver asked for with a 429 or 503. Undefined: no more.
 */
export function pauseAfter(tries: number, retryAfter: number | null): number | undefined {
	const pause = pauses[tries]
	if (pause === undefined) {
		return undefined
	}
	const jittered = pause * (0.9 + Math.random() / 5)
	return Math.round(Math.max(jittered, Math.min((retryAfter ?? 0) * second, longest)))
}
