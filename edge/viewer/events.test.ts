import { runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it } from 'vitest'
import type { GenerationEvent } from '../../shared/contract/events.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Work } from '../callbacks/capability.ts'
import { call, deliver, env, get, newAccount, post } from '../testing.ts'
import type { Viewer } from './viewer.ts'

type Seen = { id: string; event: GenerationEvent }

/** Reads events one by one. */
function reader(answer: Response) {
	const body = answer.body!.pipeThrough(new TextDecoderStream()).getReader()
	let text = ''
	return {
		async next(): Promise<Seen | undefined> {
			for (;;) {
				const [, block, rest] = /^(.*?)\n\n(.*)$/s.exec(text) ?? []
				if (block !== undefined) {
					text = rest!
					const [, id, name, data] = /^id: (.*)\nevent: (.*)\ndata: (.*)$/.exec(block) ?? []
					if (data !== undefined) {
						const event: GenerationEvent = JSON.parse(data)
						expect(event.type).toBe(name)
						return { id: id!, event }
					}
					continue
				}
				const { done, value } = await body.read()
				if (done) {
					return undefined
				}
				text += value
			}
		},
		async until(type: GenerationEvent['type']): Promise<Seen[]> {
			const seen: Seen[] = []
			for (let one = await this.next(); one; one = await this.next()) {
				seen.push(one)
				if (one.event.type === type) {
					break
				}
			}
			return seen
		},
		leave: () => body.cancel()
	}
}

describe('GET /v1/generations/{id}/events', () => {
	let key: string
	let work: Work
	let path: string
	beforeEach(async () => {
		const owner = await newAccount()
		key = owner.key
		const body = { model: 'scenes', prompt: 'a red sphere', seed: 7, count: 2 }
		const { id } = await (await post('/v1/generations', key, body)).json<Generation>()
		work = { account: owner.account, generation: id, epoch: 1 }
		path = `/v1/generations/${id}/events`
	})

	const start = () => call(work, 'start', { run: 'run-one-one' })
	const fail = () => call(work, 'finish', { outcome: 'failed', detail: 'enough' })
	const types = (seen: Seen[]) => seen.map(({ event }) => event.type)

	it('has no more for whoever was told the end, and an EventSource that comes back by itself stays away', async () => {
		await start()
		await fail()
		const { id } = (await reader(await get(path, key)).until('end')).at(-1)!
		// Of a call that came before the end, and travels more slowly.
		const preview = { n: 0, step: 3, content_type: 'image/webp' as const, data: 'UklGRg==' }
		await env.VIEWER.getByName(work.generation).show([preview])
		const again = await get(path, key, { 'last-event-id': id })
		expect([again.status, await again.text()]).toEqual([204, ''])
	})

	it('tells everyone who watches what happens, as it happens', async () => {
		const answers = await Promise.all([get(path, key), get(path, key)])
		const readers = answers.map(reader)
		const all = async (type: GenerationEvent['type']) => (await Promise.all(readers.map((one) => one.until(type)))).map(types)
		expect(answers[0]!.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
		expect(answers[0]!.headers.get('cache-control')).toBe('no-cache, no-transform')
		expect(await all('status')).toEqual([['status'], ['status']])
		await start()
		expect(await all('status')).toEqual([['status'], ['status']])
		await call(work, 'progress', { done: 3, total: 50 })
		expect(await all('progress')).toEqual([['progress'], ['progress']])
		const preview = { n: 0, step: 3, content_type: 'image/webp', data: 'UklGRg==' }
		await call(work, 'progress', { done: 3, total: 50, previews: [preview] })
		expect(await all('preview')).toEqual([['preview'], ['preview']])
		await deliver(work, 1, 8)
		expect(await all('image')).toEqual([['image'], ['image']])
		await deliver(work, 0, 7)
		await call(work, 'finish', { outcome: 'succeeded', inference_ms: 5 })
		expect(await all('end')).toEqual([
			['image', 'end'],
			['image', 'end']
		])
		expect(await Promise.all(readers.map((one) => one.next()))).toEqual([undefined, undefined])
	})

	it('tells late readers of partial images too, each once, before the pictures', async () => {
		await start()
		for (const index of [0, 1, 1]) {
			const partial_image = { n: 0, index, step: 10 * (index + 1), content_type: 'image/webp', data: 'UklGRg==' }
			expect((await call(work, 'progress', { done: 3, total: 50, partial_image })).status).toBe(200)
		}
		await deliver(work, 0, 7)
		const seen = await reader(await get(path, key)).until('image')
		const told = seen.map(({ event }) => (event.type === 'partial_image' ? [event.n, event.index, event.step] : event.type))
		expect(told).toEqual([[0, 0, 10], [0, 1, 20], 'status', 'progress', 'image'])
	})

	it('shows no preview of a picture that is there: it may come late', async () => {
		await start()
		const events = reader(await get(path, key))
		await deliver(work, 0, 7)
		await events.until('image')
		const preview = { step: 50, content_type: 'image/webp', data: 'UklGRg==' }
		await call(work, 'progress', { done: 50, total: 50, previews: [0, 1].map((n) => ({ n, ...preview })) })
		await fail()
		const seen = await events.until('end')
		expect(seen.flatMap(({ event }) => (event.type === 'preview' ? [event.n] : []))).toEqual([1])
	})

	it('signs the pictures that it tells of, and ends with the whole generation', async () => {
		await start()
		await deliver(work, 0, 7)
		await fail()
		const events = (await reader(await get(path, key)).until('end')).map(({ event }) => event)
		expect(events).toEqual([
			{ type: 'image', image: expect.objectContaining({ n: 0, url: expect.stringContaining('http://storage.test/darkroom/') }) },
			{ type: 'end', generation: expect.objectContaining({ id: work.generation, status: 'failed' }) }
		])
	})

	it('goes on after the event that was seen last', async () => {
		await start()
		const first = reader(await get(path, key))
		const [status] = await first.until('status')
		await first.leave()
		await call(work, 'progress', { done: 3, total: 50 })
		await deliver(work, 0, 7)
		const second = reader(await get(path, key, { 'last-event-id': status!.id }))
		expect(types(await second.until('image'))).toEqual(['progress', 'image'])
	})

	it('tells the end also to whoever names an event that was never told', async () => {
		await start()
		const [{ id } = { id: '' }] = await reader(await get(path, key)).until('status')
		const late = reader(await get(path, key, { 'last-event-id': `${id}000` }))
		await fail()
		expect(types(await late.until('end')).at(-1)).toBe('end')
		const later = await get(path, key, { 'last-event-id': `${id}000` })
		expect(types(await reader(later).until('end')).at(-1)).toBe('end')
	})

	it('has lost nothing that matters when its Viewer vanished', async () => {
		await start()
		await deliver(work, 0, 7)
		const first = reader(await get(path, key))
		const before = await first.until('image')
		const viewer = env.VIEWER.getByName(work.generation)
		await runInDurableObject(viewer, (_: Viewer, state) => state.abort('gone')).catch(() => {})
		await expect(first.until('end')).rejects.toThrow()
		await deliver(work, 1, 8)
		const second = reader(await get(path, key, { 'last-event-id': before.at(-1)!.id }))
		await fail()
		const after = (await second.until('end')).map(({ event }) => (event.type === 'image' ? event.image.n : event.type))
		expect(after).toEqual(expect.arrayContaining([0, 1, 'end']))
	})
})
