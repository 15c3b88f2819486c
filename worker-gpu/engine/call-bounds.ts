/** How long a call may take before it counts as one that never returns: a driver that hangs, a library that waits for itself. */
interface CallBounds {
	/** Milliseconds. */
	of(call: string): number
	took(call: string, ms: number): void
}

/** Milliseconds. The first call of its kind loads kernels, plans shapes and searches for convolutions; nobody knows how long it takes. */
export const FIRST = 600_000
/** No bound is lower: other processes, and memory that is swapped out, slow down short calls the most. */
const LEAST = 60_000
/** A call that takes so many times the slowest of its kind does not return. */
const SLOWEST_TIMES = 20
/** Kinds that are remembered; with more of them, each is a first one again. */
const MOST_KINDS = 10_000

export function callBounds(): CallBounds {
	const slowest = new Map<string, number>()
	return {
		of(call) {
			const ms = slowest.get(call)
			// In powers of two, so that it seldom changes.
			return ms === undefined ? FIRST : Math.max(LEAST, 2 ** Math.ceil(Math.log2(ms * SLOWEST_TIMES)))
		},
		took(call, ms) {
			if (slowest.size >= MOST_KINDS) {
				slowest.clear()
			}
			slowest.set(call, Math.max(ms, slowest.get(call) ?? 0))
		}
	}
}
