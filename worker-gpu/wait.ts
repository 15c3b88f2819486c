import { setTimeout as delay } from 'node:timers/promises'

/** Resolves after so many milliseconds; rejects with the signal's own reason when that comes first. */
export async function wait(ms: number, signal: AbortSignal): Promise<void> {
	// Node's rejects with an AbortError that hides the reason.
	await delay(ms, undefined, { signal }).catch(() => signal.throwIfAborted())
}

/** `promise`, unless `signal` comes first: then rejects with its reason. */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
	if (!signal) {
		return promise
	}
	signal.throwIfAborted()
	const { promise: aborted, reject } = Promise.withResolvers<never>()
	const abort = () => reject(signal.reason)
	signal.addEventListener('abort', abort, { once: true })
	try {
		return await Promise.race([promise, aborted])
	} finally {
		signal.removeEventListener('abort', abort)
	}
}
