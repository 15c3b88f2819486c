import type { Pause } from '../ldm/pause.ts'

/** Each call of what it gives runs `work` from one of its pauses to the next, and resolves with whether that was the last part. What is not gone on with is forgotten. */
export function inParts(work: (pause: Pause) => Promise<void>): () => Promise<boolean> {
	let part = Promise.withResolvers<boolean>()
	let proceed: (() => void) | undefined
	const pause = () =>
		new Promise<void>((resolve) => {
			proceed = resolve
			part.resolve(false)
		})
	return () => {
		part = Promise.withResolvers()
		if (proceed) {
			proceed()
		} else {
			// That which is the latest by then.
			work(pause).then(
				() => part.resolve(true),
				(error) => part.reject(error)
			)
		}
		return part.promise
	}
}
