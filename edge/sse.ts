import { soon } from './soon.ts'

/** Milliseconds. Proxies close connections that are silent for longer. */
export const heartbeat = 15_000
/** Proxies that gather a few kilobytes before they send anything send this, and then know of the stream. */
const padding = 2_048

/** Comments (WHATWG HTML §9.2.5), which every client passes over: the first of a stream, and what is said while nothing happens. */
export const opening = `:${' '.repeat(padding)}\n\n`
export const stillThere = ': still there\n\n'

/** No cache or proxy may hold events back until there are many of them. */
export const eventHeaders = {
	'content-type': 'text/event-stream; charset=utf-8',
	'cache-control': 'no-cache, no-transform',
	'x-accel-buffering': 'no'
}

export interface Sent {
	id?: string
	event?: string
	data: string
}

/** Events as they come. They are pulled: a reader is never sent more than it takes. */
export function respondEvents(events: AsyncGenerator<Sent>, headers: Record<string, string> = {}): Response {
	let isOpen = false
	let next: Promise<IteratorResult<Sent>> | undefined
	const body = new ReadableStream({
		type: 'bytes',
		async pull(controller) {
			const send = (text: string) => controller.enqueue(new TextEncoder().encode(text))
			if (!isOpen) {
				isOpen = true
				send(opening)
				return
			}
			next ??= events.next()
			if (!(await soon(next, heartbeat))) {
				send(stillThere)
				return
			}
			const { done, value } = await next
			next = undefined
			if (done) {
				controller.close()
				return
			}
			const fields = Object.entries(value as Sent).flatMap(([name, text]: [string, string]) =>
				text.split(/\r\n|\r|\n/).map((line) => `${name}: ${line}\n`)
			)
			send(`${fields.join('')}\n`)
		},
		async cancel() {
			await events.return(undefined)
		}
	})
	return new Response(body, { headers: { ...eventHeaders, ...headers } })
}
