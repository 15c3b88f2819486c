import { expect, test } from 'vitest'
import type { GenerationEvent } from './contract/events.ts'
import { followed } from './followed.ts'

/** Its bytes come one by one; `trouble` breaks it off. */
function stream(text: string, trouble?: Error): ReadableStream<Uint8Array> {
	const bytes = new TextEncoder().encode(text)
	let next = 0
	return new ReadableStream({
		pull(controller) {
			if (next < bytes.length) {
				controller.enqueue(bytes.slice(next, ++next))
			} else {
				trouble ? controller.error(trouble) : controller.close()
			}
		}
	})
}

/** What is heard of these streams, one after the other, and from where each was asked for. */
async function hear(...streams: (ReadableStream<Uint8Array> | Error | null)[]) {
	const asked: (string | undefined)[] = []
	const heard: GenerationEvent[] = []
	/** Before which of the streams there was a pause. */
	const paused: number[] = []
	const events = followed(
		async (lastId) => {
			asked.push(lastId)
			const stream = streams.shift()
			if (stream instanceof Error) {
				throw stream
			}
			return stream
		},
		{ mayPass: (error) => error instanceof TypeError, wait: async () => void paused.push(asked.length), patience: 5 }
	)
	const failure = await (async () => {
		for await (const event of events) {
			heard.push(event)
		}
	})().catch((error: Error) => error)
	return { asked, heard, paused, failure }
}

const progress = (done: number) =>
	`: a comment\n\nid: v.${done}\nevent: progress\ndata: {"type":"progress",\ndata: "done":${done},"total":9}\n\n`
const told = (done: number) => ({ type: 'progress', done, total: 9 })

test('a stream that breaks off is taken up where it was, until the end', async () => {
	const end = 'id: v.3\nevent: end\ndata: {"type":"end","generation":{"id":"gën"}}\n\n'
	const { asked, heard, paused, failure } = await hear(
		stream(`${progress(1)}${progress(2)}id: v.3\ndata: {"ty`),
		stream('', new TypeError('gone')),
		stream(`${end}${progress(4)}`)
	)
	expect(asked).toEqual([undefined, 'v.2', 'v.2'])
	expect(heard).toEqual([told(1), told(2), { type: 'end', generation: { id: 'gën' } }])
	expect([paused, failure]).toEqual([[2], undefined])
})

test('what cannot be opened for a moment is opened again, unless that cannot help', async () => {
	const [gone, deleted] = [new TypeError('gone'), new Error('deleted')]
	expect(await hear(gone, gone, stream(progress(1)), gone, deleted, stream(progress(2)))).toEqual({
		asked: [undefined, undefined, undefined, 'v.1', 'v.1'],
		heard: [told(1)],
		paused: [2, 4],
		failure: deleted
	})
})

test('what other programs take for the end of a line is a letter of a text', async () => {
	const generation = { id: 'gen', request: { prompt: 'a cube\u2028a ball\u2029a cone\u0085' } }
	const end = { type: 'end', generation }
	expect(await hear(stream(`id: v.1\nevent: end\ndata: ${JSON.stringify(end)}\n\n`))).toMatchObject({
		heard: [end],
		failure: undefined
	})
})

test('what another Viewer tells anew of pictures is told once', async () => {
	const events = [
		{ type: 'image', image: { n: 0 } },
		{ type: 'partial_image', n: 1, index: 0 },
		{ type: 'partial_image', n: 1, index: 1 },
		{ type: 'image', image: { n: 1 } },
		{ type: 'end' }
	]
	const sent = (viewer: string, ...which: number[]) =>
		which.map((i) => `id: ${viewer}.${i}\ndata: ${JSON.stringify(events[i])}\n\n`).join('')
	const { heard } = await hear(stream(sent('v', 0, 1), new TypeError('gone')), stream(sent('w', 0, 1, 2, 3, 4)))
	expect(heard).toEqual(events)
})

test('where there is no stream any more, that was the end', async () => {
	expect(await hear(stream(progress(1)), null)).toEqual({
		asked: [undefined, 'v.1'],
		heard: [told(1)],
		paused: [],
		failure: undefined
	})
})

test('streams that break off again and again without a word are given up after pauses, with the reason', async () => {
	const silent = (count: number) => Array.from({ length: count }, () => stream(': nothing\n\n', new TypeError('gone')))
	const { asked, heard, paused, failure } = await hear(...silent(4), stream(progress(1)), ...silent(9))
	expect([asked.length, heard]).toEqual([9, [told(1)]])
	expect(paused).toEqual([2, 3, 4, 6, 7, 8])
	expect(failure).toMatchObject({ message: 'The events break off again and again', cause: { message: 'gone' } })
})
