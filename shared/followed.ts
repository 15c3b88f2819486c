import type { GenerationEvent } from './contract/events.ts'
import { readEvents } from './event-stream.ts'

/** Times in a row that a stream may break off without having told anything. */
const patience = 5

/**
 * What happens to a generation until it has ended. When its Viewer vanishes, the next one is asked from where the last one was.
 *
 * @param open opens its stream of events after `lastId`; none where that was the end
 */
export async function* followed(
	open: (lastId: string | undefined) => Promise<ReadableStream<Uint8Array> | null | undefined>
): AsyncGenerator<GenerationEvent> {
	let lastId: string | undefined
	let trouble: unknown
	for (let silent = 0; silent < patience; silent++) {
		const body = await open(lastId)
		if (!body) {
			return
		}
		try {
			for await (const { id, data } of readEvents(body)) {
				lastId = id
				silent = 0
				const event: GenerationEvent = JSON.parse(data)
				yield event
				if (event.type === 'end') {
					return
				}
			}
		} catch (error) {
			trouble = error
		}
	}
	throw new Error('The events break off again and again', { cause: trouble })
}
