import { setTimeout as delay } from 'node:timers/promises'

/** Resolves after so many milliseconds; rejects with the signal's own reason when that comes first. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
	// Node's rejects with an AbortError that hides the reason.
	await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted())
}
