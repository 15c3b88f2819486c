import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import type { GenerationEvent } from '../../shared/contract/events.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { readEvents } from '../../shared/event-stream.ts'
import { type Consumer, Job, openConsumer, openProducer } from '../../shared/queue.ts'
import { type BareEdge, startBareEdge } from '../edge.ts'
import { postgresServer, type QueueServer, redisServer, withRedis } from '../queues.ts'

const patience = { timeout: 20_000, interval: 100 }
const json = { 'content-type': 'application/json' }

let edge: BareEdge
let consumer: Consumer
const start = async () => {
	edge = await startBareEdge()
	consumer = openConsumer(edge.queue.url)
}
const stop = async () => {
	await consumer?.close()
	await edge?.close()
}
beforeAll(start)
// A second try finds nobody in line whom the first has left there.
beforeEach(async ({ task }) => {
	if (task.result?.retryCount) {
		await stop()
		await start()
	}
})
afterAll(stop)

const call = async (key: string, path: string, init: RequestInit = {}) => {
	const answer = await fetch(`${edge.url}${path}`, {
		...init,
		headers: { ...json, authorization: `Bearer ${key}`, ...init.headers }
	})
	expect(answer.ok).toBe(true)
	return answer
}
const submit = async (key: string): Promise<string> => {
	const body = JSON.stringify({ model: 'scenes', prompt: 'a red sphere' })
	return ((await (await call(key, '/v1/generations', { method: 'POST', body })).json()) as Generation).id
}
const standing = async (key: string, id: string) =>
	((await (await call(key, `/v1/generations/${id}`)).json()) as Generation).queue

it('tells where a generation stands, and when it is likely to begin', async () => {
	const [first, second] = await Promise.all([edge.key('first'), edge.key('second')])
	const ids: string[] = []
	for (let i = 0; i < 40; i++) {
		ids.push(await submit(first))
	}
	const newcomer = await submit(second)
	// Accounts take turns, and the first one's last eight are not let into the queue yet.
	await vi.waitFor(async () => {
		expect((await standing(second, newcomer))?.position).toBe(1)
		expect((await standing(first, ids[0]!))?.position).toBe(0)
		expect((await standing(first, ids[1]!))?.position).toBe(2)
		expect((await standing(first, ids[39]!))?.position).toBe(40)
	}, patience)
	const target = `https://queue.fal.run/darkroom/scenes/requests/${ids[1]}/status`
	const told = await (await call(first, '/fal/proxy', { headers: { 'x-fal-target-url': target } })).json()
	expect(told).toMatchObject({ status: 'IN_QUEUE', queue_position: 2 })

	const seen: GenerationEvent[] = []
	const follow = async () => {
		const { body } = await call(first, `/v1/generations/${ids[20]}/events`)
		for await (const { data } of readEvents(body as ReadableStream<Uint8Array>)) {
			seen.push(JSON.parse(data))
		}
	}
	const following = follow()
	await vi.waitFor(() => expect(seen.map(({ type }) => type)).toEqual(['status', 'queue']), patience)
	const worker = consumer.worker(
		'scenes',
		async ({ data }) => {
			const { callback, token } = Job.parse(data)
			const say = (name: string, body: object) =>
				fetch(`${callback}/${name}`, {
					method: 'POST',
					headers: { ...json, authorization: `Bearer ${token}` },
					body: JSON.stringify(body)
				})
			await say('start', { run: 'the-only-run' })
			await sleep(400)
			await say('finish', { outcome: 'failed', detail: 'nothing is drawn here' })
		},
		{ concurrency: 1 }
	)
	await following
	await worker.close()
	const line = seen.flatMap((event) => (event.type === 'queue' ? [event] : []))
	const positions = line.map(({ position }) => position)
	expect(positions[0]).toBe(21)
	expect(positions).toEqual(positions.toSorted((a, b) => b - a))
	expect(new Set(positions).size).toBeGreaterThan(2)
	expect(line.some(({ eta }) => eta !== null && eta > 0 && eta < 60)).toBe(true)
	expect(seen.findLastIndex(({ type }) => type === 'queue')).toBeLessThan(seen.findIndex((event) => isProcessing(event)))
	expect(seen.at(-1)!.type).toBe('end')
})

it('counts nobody who does not wait any more', async () => {
	const [first, second] = await Promise.all([edge.key('leaving'), edge.key('staying')])
	const gone = [await submit(first), await submit(first)]
	const id = await submit(second)
	await vi.waitFor(async () => expect((await standing(second, id))?.position).toBe(1), patience)
	for (const id of gone) {
		await call(first, `/v1/generations/${id}/cancel`, { method: 'POST' })
	}
	await vi.waitFor(async () => expect((await standing(second, id))?.position).toBe(0), patience)
	await call(second, `/v1/generations/${id}`, { method: 'DELETE' })
	const producer = openProducer(edge.queue.url)
	await vi.waitFor(async () => {
		const waiting = await producer.waiting('scenes', 100)
		expect([...gone, id].filter((one) => waiting.includes(`${one}.1`))).toEqual([])
	}, patience)
	await producer.close()
})

it('answers without it while nobody knows', async () => {
	const key = await edge.key('third')
	const id = await submit(key)
	await edge.queue.stop()
	await vi.waitFor(async () => expect(await standing(key, id)).toBeUndefined(), patience)
	await edge.queue.start()
	await vi.waitFor(async () => expect(await standing(key, id)).toBeDefined(), patience)
})

const isProcessing = (event: GenerationEvent) => event.type === 'status' && event.status === 'processing'

it.each([{ name: 'PostgreSQL', open: postgresServer }, ...(withRedis ? [{ name: 'Redis', open: () => redisServer() }] : [])])(
	'$name lists those who wait in the order in which they will go, without those who have left',
	async ({ open }) => {
		const queue: QueueServer = await open()
		await queue.start()
		const producer = openProducer(queue.url)
		try {
			const places = { gen_a: 2, gen_b: 1, gen_c: 2, gen_d: 1, gen_e: 70 }
			const jobs = Object.entries(places).map(([generation, place]) => ({
				job: { generation, epoch: 1, callback: edge.url, token: 'none' },
				place,
				isRaised: false
			}))
			await producer.add('scenes', jobs)
			expect(await producer.waiting('scenes', 10)).toEqual(['gen_b.1', 'gen_d.1', 'gen_a.1', 'gen_c.1', 'gen_e.1'])
			expect(await producer.waiting('scenes', 2)).toEqual(['gen_b.1', 'gen_d.1'])
			expect(await producer.waiting('others', 2)).toEqual([])
			for (const id of ['gen_d.1', 'gen_e.1', 'gen_f.1']) {
				await producer.remove('scenes', id)
			}
			expect(await producer.waiting('scenes', 10)).toEqual(['gen_b.1', 'gen_a.1', 'gen_c.1'])
		} finally {
			await producer.close()
			await queue.remove()
		}
	}
)
