import type { GenerationEvent } from './contract/events.ts'
import { readEvents } from './event-stream.ts'
import { untilSilent } from './until-silent.ts'

/** Milliseconds before it is asked for again, but for the first time: what their `retry` says. */
const pause = 1_000

interface Options {
	/** Whether the next try may go well after this error. */
	mayPass?: (error: unknown) => boolean
	/** Waits for so many milliseconds. */
	wait?: (milliseconds: number) => Promise<unknown>
	/** Times in a row that a stream may fail to open, or break off without having told anything. */
	patience?: number
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/**
 * What happens to a generation until it has ended. When its Viewer vanishes, the next one is asked from where the last one was.
 *
 * @param open opens its stream of events after `lastId`; none where that was the end
 */
export async function* followed(
	open: (lastId: string | undefined) => Promise<ReadableStream<Uint8Array> | null | undefined>,
	{ mayPass = () => true, wait = sleep, patience = 10 }: Options = {}
): AsyncGenerator<GenerationEvent> {
	let lastId: string | undefined
	let trouble: unknown
	/** Another Viewer knows nothing of `lastId`, and tells anew what there is. */
	const shown = new Set<string>()
	for (let silent = 0; silent < patience; silent++) {
		if (silent > 1) {
			await wait(pause)
		}
		try {
			const body = await open(lastId)
			if (!body) {
				return
			}
			for await (const { id, data } of readEvents(untilSilent(body))) {
				lastId = id
				silent = 0
				const event: GenerationEvent = JSON.parse(data)
				const picture = pictureOf(event)
				if (!shown.has(picture)) {
					yield event
				}
				if (picture !== '') {
					shown.add(picture)
				}
				if (event.type === 'end') {
					return
				}
			}
		} catch (error) {
			if (!mayPass(error)) {
				throw error
			}
			trouble = error
		}
	}
	throw new Error('The events break off again and again', { cause: trouble })
}

/** What an event shows for good, of which nobody is to be told twice; empty where that is nothing. */
function pictureOf(event: GenerationEvent): string {
	switch (event.type) {
		case 'image':
			return String(event.image.n)
		case 'partial_image':
			return `${event.n} ${event.index}`
		default:
			return ''
	}
}
