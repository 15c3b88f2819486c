import { heartbeat } from '../shared/until-silent.ts'
import { soon } from './soon.ts'

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
	/** In pieces of one line, where it is too large to be in memory as a whole. */
	data: string | AsyncGenerator<string>
}

/** Events as they come. They are pulled: a reader is never sent more than it takes. */
export function respondEvents(events: AsyncGenerator<Sent>, headers: Record<string, string> = {}): Response {
	const texts = textsOf(events)
	let isOpen = false
	/** An event has begun: nothing else is said before it ends. */
	let isWithin = false
	let next: Promise<IteratorResult<string>> | undefined
	const body = new ReadableStream({
		type: 'bytes',
		async pull(controller) {
			const send = (text: string) => controller.enqueue(new TextEncoder().encode(text))
			if (!isOpen) {
				isOpen = true
				send(opening)
				return
			}
			next ??= texts.next()
			if (!isWithin && !(await soon(next, heartbeat))) {
				send(stillThere)
				return
			}
			const { done, value } = await next
			next = undefined
			if (done) {
				controller.close()
				return
			}
			isWithin = !value.endsWith('\n\n')
			send(value)
		},
		async cancel() {
			await texts.return(undefined)
		}
	})
	return new Response(body, { headers: { ...eventHeaders, ...headers } })
}

async function* textsOf(events: AsyncGenerator<Sent>): AsyncGenerator<string> {
	for await (const { data, ...named } of events) {
		const names = Object.entries(named).map(([name, text]) => `${name}: ${text}\n`)
		if (typeof data === 'string') {
			const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`)
			yield [...names, ...lines, '\n'].join('')
			continue
		}
		yield [...names, 'data: '].join('')
		for await (const piece of data) {
			if (piece !== '') {
				yield piece
			}
		}
		yield '\n\n'
	}
}
