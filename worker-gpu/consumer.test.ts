import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { freePort } from '../infra/ports.ts'
import { lastNormal, openProducer } from '../shared/queue.ts'
import { postgresServer, type QueueServer, redisServer, withRedis } from '../test/queues.ts'
import { consume } from './consumer.ts'
import { EdgeUnreachable } from './edge-errors.ts'
import { ModelNotLoaded } from './onnx/model-error.ts'

let queue: QueueServer
beforeAll(async () => {
	queue = await postgresServer()
	await queue.start()
})
afterAll(() => queue?.remove())

test('whoever can write into the queue has the node call no one but its edge', async () => {
	const producer = openProducer(queue.url)
	const origins = [
		'https://edge.example.attacker.example',
		'http://edge.example',
		'https://edge.example:8443',
		'https://edge.example@169.254.169.254',
		'http://127.0.0.1:9200',
		'https://EDGE.example:443'
	]
	const jobs = origins.map((origin, i) => ({
		job: { generation: `gen_${i}`, epoch: 1, callback: `${origin}/callbacks/a`, token: 'x' },
		place: 1 + i,
		isRaised: false
	}))
	await producer.add('model', jobs)
	const stop = new AbortController()
	const taken: string[] = []
	const log: string[] = []
	const consuming = consume(
		{
			queueUrl: queue.url,
			model: 'model',
			edges: ['https://edge.example'],
			log: (line) => log.push(line),
			work: async ({ generation }) => void taken.push(generation)
		},
		stop.signal
	)
	await vi.waitFor(() => expect([taken.length, log.length]).toEqual([1, 5]), { timeout: 20_000 })
	stop.abort()
	await consuming
	await producer.close()
	expect(taken).toEqual(['gen_5'])
	expect(log).toContain('queue of model: passed over gen_0.1, which is no job of ours')
})

test('a queue that comes back finds as much room as what was taken before leaves; all of it is waited for at the end', async () => {
	const producer = openProducer(queue.url)
	const jobs = Array.from({ length: 40 }, (_, i) => ({
		job: { generation: `gen_${i}`, epoch: 1, callback: 'https://edge.example/callbacks/a', token: 'x' },
		place: 1 + i,
		isRaised: false
	}))
	await producer.add('busy', jobs)
	await producer.close()
	const stop = new AbortController()
	const log: string[] = []
	const released = Promise.withResolvers<void>()
	let [active, most, taken] = [0, 0, 0]
	const consuming = consume(
		{
			queueUrl: queue.url,
			model: 'busy',
			log: (line) => log.push(line),
			async work() {
				active += 1
				taken += 1
				most = Math.max(most, active)
				await released.promise
				active -= 1
			}
		},
		stop.signal
	)
	await vi.waitFor(() => expect(taken).toBe(16), { timeout: 20_000 })
	await queue.stop()
	await vi.waitFor(() => expect(log).toHaveLength(1), { timeout: 20_000 })
	await queue.start()
	await vi.waitFor(() => expect(taken).toBeGreaterThan(16), { timeout: 40_000 })
	await delay(1_000) // Time to take more, if that were to happen.
	stop.abort()
	let isOver = false
	void consuming.then(() => {
		isOver = true
	})
	await delay(500)
	expect(isOver).toBe(false)
	released.resolve()
	await consuming
	expect(active).toBe(0)
	expect(most).toBeLessThanOrEqual(17)
})

const startedRedis = async () => {
	const redis = await redisServer()
	await redis.start()
	return redis
}
describe.each([['PostgreSQL', () => queue], ...(withRedis ? [['Redis', startedRedis] as const] : [])] as const)(
	'on %s',
	(_, start) => {
		test('normal work finds room beside as much work of low priority, which finds no more', async () => {
			const server = await start()
			const producer = openProducer(server.url)
			const model = 'low-and-normal'
			const add = (kind: string, count: number, place: number) =>
				producer.add(
					model,
					Array.from({ length: count }, (_, i) => ({
						job: { generation: `${kind}_${i}`, epoch: 1, callback: 'https://edge.example/callbacks/a', token: 'x' },
						place,
						isRaised: false
					}))
				)
			const taken: string[] = []
			const ending = new Map<string, () => void>()
			const stop = new AbortController()
			const consuming = consume(
				{
					queueUrl: server.url,
					model,
					log() {},
					async work({ generation }) {
						taken.push(generation)
						await new Promise<void>((end) => ending.set(generation, end))
					}
				},
				stop.signal
			)
			const takenOf = (kind: string) => taken.filter((generation) => generation.startsWith(kind)).length
			await add('low', 40, lastNormal + 1)
			await vi.waitFor(() => expect(takenOf('low')).toBe(16), { timeout: 20_000 })
			await add('normal', 20, lastNormal)
			await vi.waitFor(() => expect(takenOf('normal')).toBe(16), { timeout: 20_000 })
			await delay(1_500) // Time to take more, if that were to happen.
			expect(taken).toHaveLength(32)
			// What was taken beside, the queue has forgotten: should this node be lost, it takes the same job again.
			await add('normal', 1, lastNormal)
			expect(await producer.waiting(model, 99)).toContain('normal_0.1')
			await producer.remove(model, 'normal_0.1')
			// Of both kinds one ends: it is normal work that comes next.
			for (const generation of ['low_0', 'normal_0']) {
				ending.get(generation)?.()
			}
			await vi.waitFor(() => expect(takenOf('normal')).toBe(17), { timeout: 20_000 })
			// No more of low priority until there is room for either.
			for (let i = 1; i < 10; i++) {
				ending.get(`low_${i}`)?.()
				await delay(50)
			}
			expect(takenOf('low')).toBe(16)
			stop.abort()
			for (const left of taken) {
				await vi.waitFor(() => expect(ending.has(left)).toBe(true))
				ending.get(left)?.()
			}
			await consuming
			expect(await producer.waiting(model, 99)).toHaveLength(60 - taken.length)
			await producer.close()
			if (server !== queue) {
				await server.remove()
			}
		})
	}
)

test('who cannot load a model leaves its queue to others for a while', async () => {
	const producer = openProducer(queue.url)
	const jobs = Array.from({ length: 40 }, (_, i) => ({
		job: { generation: `gen_${i}`, epoch: 1, callback: 'https://edge.example/callbacks/a', token: 'x' },
		place: 1 + i,
		isRaised: false
	}))
	const model = `broken-${performance.now()}`
	await producer.add(model, jobs)
	await producer.close()
	const stop = new AbortController()
	const log: string[] = []
	const taken = { unable: 0, able: 0 }
	const options = { queueUrl: queue.url, model, log: (line: string) => log.push(line) }
	const unable = consume(
		{
			...options,
			async work() {
				taken.unable += 1
				throw new ModelNotLoaded('models/broken: expected a folder')
			}
		},
		stop.signal
	)
	await vi.waitFor(() => expect(log).not.toEqual([]), { timeout: 20_000 })
	expect(log).toEqual([`queue of ${model}: left to others for 30 s (models/broken: expected a folder)`])
	const able = consume(
		{
			...options,
			async work() {
				taken.able += 1
			}
		},
		stop.signal
	)
	await vi.waitFor(() => expect(taken.unable + taken.able).toBe(40), { timeout: 20_000 })
	expect(taken.able).toBeGreaterThan(20)
	stop.abort()
	await Promise.all([unable, able])
})

test('who is cut off from the edge leaves its queue to others until that answers', async () => {
	const producer = openProducer(queue.url)
	const model = `cut-off-${performance.now()}`
	const port = await freePort()
	const edge = `http://127.0.0.1:${port}`
	let added = 0
	const add = () => {
		const job = { generation: `gen_${++added}`, epoch: 1, callback: `${edge}/callbacks/a`, token: 'x' }
		return producer.add(model, [{ job, place: 1, isRaised: false }])
	}
	await add()
	const stop = new AbortController()
	const log: string[] = []
	let isCutOff = true
	const consuming = consume(
		{
			queueUrl: queue.url,
			model,
			log: (line) => log.push(line),
			async work() {
				if (isCutOff) {
					throw new EdgeUnreachable(edge, 'start: expected an answer')
				}
			}
		},
		stop.signal
	)
	const waiting = async () => (await producer.waiting(model, 99)).length
	await vi.waitFor(() => expect(log).toHaveLength(1), { timeout: 20_000 })
	expect(log).toEqual([`queue of ${model}: left to others until ${edge} answers (start: expected an answer)`])
	await add()
	await delay(2_500) // It looks each second.
	expect(await waiting()).toBe(1)
	const server = createServer((_, response) => response.writeHead(404).end())
	await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
	isCutOff = false
	await expect.poll(waiting, { timeout: 20_000 }).toBe(0)
	expect(log).toHaveLength(1)
	stop.abort()
	await consuming
	await producer.close()
	server.close()
})

test('who was cut off tries one job before it takes more, and then as many as ever', async () => {
	const producer = openProducer(queue.url)
	const model = `wary-${performance.now()}`
	// It answers, but not the calls: a firewall that takes a node for a stranger.
	const server = createServer((_, response) => response.writeHead(403).end())
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
	const edge = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
	const jobs = Array.from({ length: 40 }, (_, i) => ({
		job: { generation: `gen_${i}`, epoch: 1, callback: `${edge}/callbacks/a`, token: 'x' },
		place: 1 + i,
		isRaised: false
	}))
	await producer.add(model, jobs)
	await producer.close()
	const stop = new AbortController()
	let isCutOff = true
	let rounds = 0
	const taken: number[] = []
	const released = Promise.withResolvers<void>()
	const consuming = consume(
		{
			queueUrl: queue.url,
			model,
			log: () => rounds++,
			async work() {
				taken[rounds] = (taken[rounds] ?? 0) + 1
				await delay(isCutOff ? 200 : 0)
				if (isCutOff) {
					throw new EdgeUnreachable(edge, 'start: expected an answer')
				}
				await (taken[rounds] === 1 ? undefined : released.promise)
			}
		},
		stop.signal
	)
	await vi.waitFor(() => expect(rounds).toBe(4), { timeout: 20_000 })
	isCutOff = false
	await vi.waitFor(() => expect(taken[rounds]).toBe(17), { timeout: 20_000 })
	expect(taken.slice(1, 4)).toEqual([1, 1, 1])
	stop.abort()
	released.resolve()
	await consuming
	server.close()
})

test.runIf(withRedis)('a queue that connects and refuses is lost once, and back when it gives again', async () => {
	const redis = await startedRedis()
	const server = new Redis(redis.url)
	const stop = new AbortController()
	const log: string[] = []
	const consuming = consume(
		{ queueUrl: redis.url, model: 'refused', log: (line) => log.push(line), async work() {} },
		stop.signal
	)
	const clients = async () => (await server.client('LIST', 'TYPE', 'NORMAL')) as string
	const connected = () => expect.poll(clients, { timeout: 20_000 }).toMatch(/cmd=bzpopmin/)
	await connected()
	await redis.take(false)
	await delay(4_000) // It tries again each second.
	await redis.take(true)
	await connected()
	await vi.waitFor(() => expect(log).toHaveLength(2), { timeout: 20_000 })
	expect(log[0]).toMatch(/^queue of refused: lost \(.*\); trying again until it is back$/)
	expect(log[1]).toBe('queue of refused: back')
	stop.abort()
	await consuming
	server.disconnect()
	await redis.remove()
})
