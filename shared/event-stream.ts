/** A server-sent event. */
export interface ServerSentEvent {
	id: string | undefined
	event: string
	data: string
}

/** The events of a stream (WHATWG HTML §9.2.6) whose lines end as ours do, in a line feed; comments are passed over. Leaving the loop closes it. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerSentEvent> {
	const reader = body.getReader()
	const decoder = new TextDecoder()
	let text = ''
	try {
		for (;;) {
			const { done, value } = await reader.read()
			if (done) {
				return
			}
			text += decoder.decode(value, { stream: true })
			for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
				const event = parseEvent(text.slice(0, end))
				text = text.slice(end + 2)
				if (event) {
					yield event
				}
			}
		}
	} finally {
		await reader.cancel().catch(() => {})
	}
}

function parseEvent(block: string): ServerSentEvent | undefined {
	// With the flag: to JSON, U+2028 is a letter.
	const fields = block.split('\n').map((line) => /^([^:]*):? ?(.*)$/s.exec(line)!.slice(1) as [string, string])
	const valuesOf = (name: string) => fields.filter(([field]) => field === name).map(([, value]) => value)
	const data = valuesOf('data')
	return data.length === 0
		? undefined
		: { id: valuesOf('id').at(-1), event: valuesOf('event').at(-1) ?? 'message', data: data.join('\n') }
}
