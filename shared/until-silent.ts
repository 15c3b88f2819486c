/** Milliseconds: our streams say something at least as often, if only that they are still there. Proxies close connections that are silent for longer. */
export const heartbeat = 15_000

/** A stream up to where it has been silent for longer than ours are: its connection may be open, and nobody at its other end. Whoever reads it comes back. */
export function untilSilent(events: ReadableStream<Uint8Array>, longest = 3 * heartbeat): ReadableStream<Uint8Array> {
	const reader = events.getReader()
	const source = {
		async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
			let timer: ReturnType<typeof setTimeout> | undefined
			const silence = new Promise<{ done: true; value?: undefined }>((resolve) => {
				timer = setTimeout(resolve, longest, { done: true })
			})
			const { done, value } = await Promise.race([reader.read(), silence]).finally(() => clearTimeout(timer))
			if (done) {
				controller.close()
				void reader.cancel().catch(() => {})
			} else {
				controller.enqueue(value)
			}
		},
		cancel: (reason: unknown) => reader.cancel(reason)
	}
	// A reader is never sent more than it takes.
	return new ReadableStream(source, { highWaterMark: 0 })
}
