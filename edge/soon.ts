/** Who waits for each: what hangs on a promise is kept until that is settled, and a stream that is silent for hours asks again every few seconds. */
const waiting = new WeakMap<Promise<unknown>, Set<() => void>>()

/** Whether `event` comes within so many milliseconds. */
export async function soon(event: Promise<unknown>, ms: number): Promise<boolean> {
	const { promise, resolve } = Promise.withResolvers<boolean>()
	const timer = setTimeout(resolve, ms, false)
	const wake = () => resolve(true)
	const others = waitersOf(event)
	others.add(wake)
	try {
		const comes = await promise
		if (comes) {
			// Throws what it was rejected with.
			await event
		}
		return comes
	} finally {
		clearTimeout(timer)
		others.delete(wake)
	}
}

function waitersOf(event: Promise<unknown>): Set<() => void> {
	const known = waiting.get(event)
	if (known) {
		return known
	}
	const waiters = new Set<() => void>()
	waiting.set(event, waiters)
	const settled = () => {
		waiting.delete(event)
		for (const wake of waiters) {
			wake()
		}
	}
	event.then(settled, settled)
	return waiters
}
