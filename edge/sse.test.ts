import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { readEvents } from '../shared/event-stream.ts'
import { respondEvents, type Sent } from './sse.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Events that are told when the test says so. */
function told() {
	let tell: (event: Sent) => void = () => {}
	let hasLeft = false
	async function* events(): AsyncGenerator<Sent> {
		try {
			for (;;) {
				yield await new Promise<Sent>((resolve) => {
					tell = resolve
				})
			}
		} finally {
			hasLeft = true
		}
	}
	return { events: events(), tell: (event: Sent) => tell(event), hasLeft: () => hasLeft }
}

it('begins with more than proxies gather, and is never silent for long', async () => {
	const { events, tell, hasLeft } = told()
	const answer = respondEvents(events, { 'x-fal-request-id': 'gen_1' })
	expect(Object.fromEntries(answer.headers)).toMatchObject({
		'content-type': 'text/event-stream; charset=utf-8',
		'cache-control': 'no-cache, no-transform',
		'x-accel-buffering': 'no',
		'x-fal-request-id': 'gen_1'
	})
	const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
	expect((await reader.read()).value).toMatch(/^: {2048}\n\n$/)
	for (let i = 0; i < 2; i++) {
		const silent = reader.read()
		await vi.advanceTimersByTimeAsync(15_000)
		expect((await silent).value).toBe(': still there\n\n')
	}
	// What was asked for before the heartbeats is not lost by them.
	tell({ id: '1', event: 'log', data: 'one line\nand another\r\nand\revent: none' })
	expect((await reader.read()).value).toBe(
		'id: 1\nevent: log\ndata: one line\ndata: and another\ndata: and\ndata: event: none\n\n'
	)
	tell({ data: 'the last' })
	await reader.cancel()
	await vi.waitFor(() => expect(hasLeft()).toBe(true))
})

it('writes an event in pieces as they come, and says nothing else within it', async () => {
	const more = Promise.withResolvers<void>()
	async function* pieces() {
		yield '{"a":"'
		await more.promise
		yield ''
		yield 'b"}'
	}
	async function* events(): AsyncGenerator<Sent> {
		yield { event: 'large', data: pieces() }
		yield { data: 'the next' }
	}
	const seen = Array.fromAsync(respondEvents(events()).body!.pipeThrough(new TextDecoderStream()))
	await vi.advanceTimersByTimeAsync(40_000)
	more.resolve()
	expect((await seen).join('').trimStart()).toMatch(/^: +\n\nevent: large\ndata: \{"a":"b"\}\n\ndata: the next\n\n$/)
})

it('ends when there is nothing more to tell, and breaks off where that fails', async () => {
	async function* two(fails: boolean): AsyncGenerator<Sent> {
		yield { data: '1' }
		yield { data: '2' }
		if (fails) {
			throw new Error('the Viewer is gone')
		}
	}
	const all = async (fails: boolean) => {
		const seen: string[] = []
		for await (const { data } of readEvents(respondEvents(two(fails)).body!)) {
			seen.push(data)
		}
		return seen
	}
	expect(await all(false)).toEqual(['1', '2'])
	await expect(all(true)).rejects.toThrow('the Viewer is gone')
})
