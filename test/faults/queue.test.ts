import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { openConsumer, openProducer } from '../../shared/queue.ts'
import { timesDrawn } from '../at-work.ts'
import { postgresServer, type QueueServer, redisServer, type Way, wayTo, withRedis } from '../queues.ts'
import { type Stack, startStack } from '../stack.ts'

const backends = [
	{ name: 'PostgreSQL', open: postgresServer },
	...(withRedis ? [{ name: 'Redis', open: () => redisServer() }] : [])
]

/** Seconds that the queue's server stays down. */
const outage = 10

describe.each(backends)('nothing accepted is lost when $name', ({ name, open }) => {
	let queue: QueueServer
	let way: Way
	let stack: Stack
	beforeAll(async () => {
		queue = await open()
		await queue.start()
		way = await wayTo(queue.url)
		stack = await startStack({ env: { QUEUE_URL: way.url } })
	})
	afterAll(async () => {
		await stack?.close()
		way?.close()
		await queue?.remove()
	})

	const submit = (i: number) =>
		stack.submit({ model: 'scenes', prompt: 'a red sphere', width: 96, height: 96, steps: 4, seed: i })

	/** Every generation succeeds, and the node says so exactly once for each. */
	async function developedOnce(accepted: Generation[]): Promise<void> {
		const finished = await Promise.all(accepted.map(({ id }) => stack.finished(id)))
		expect(finished.map(({ status }) => status)).toEqual(finished.map(() => 'succeeded'))
		for (const { id } of accepted) {
			expect(await timesDrawn(stack, id)).toBe(1)
		}
	}

	const job = { generation: 'gen_1', epoch: 1, callback: 'http://127.0.0.1/', token: '' }
	/** A node that comes to no end with a job of `model`, and dies with it. */
	async function use(model: string, isAtIt: (taken: Promise<void>) => Promise<unknown>, stalledInterval = 500): Promise<void> {
		const [producer, consumer] = [openProducer(queue.url), openConsumer(queue.url)]
		const taken = Promise.withResolvers<void>()
		const work = () => new Promise<void>(() => taken.resolve())
		const worker = consumer.worker(model, work, { lockDuration: 2 * stalledInterval, stalledInterval, maxStalledCount: 9 })
		await producer.add(model, [{ job, place: 1, isRaised: false }])
		await isAtIt(taken.promise)
		await worker.close(true)
		await Promise.all([consumer.close(), producer.close()])
	}

	it(`is down for ${outage} s while requests come in`, { timeout: 180_000 }, async () => {
		const accepted = [await submit(0)]
		await queue.stop()
		for (let i = 1; i <= outage; i++) {
			accepted.push(await submit(i))
			await sleep(1_000)
		}
		await queue.start()
		accepted.push(await submit(100))
		await developedOnce(accepted)
	})

	it('loses everything it holds while requests come in', { timeout: 180_000 }, async () => {
		const accepted: Generation[] = []
		for (let i = 0; i < 12; i++) {
			accepted.push(await submit(i))
			if (i === 5) {
				await queue.wipe()
			}
		}
		await developedOnce(accepted)
	})

	it('holds what is no job', { timeout: 60_000 }, async () => {
		const producer = openProducer(queue.url)
		const job = { generation: 'gen_1', epoch: 1, callback: 'file:///etc/passwd', token: '' }
		await producer.add('scenes', [{ job, place: 1, isRaised: false }])
		await producer.close()
		await developedOnce([await submit(0)])
		await stack.line(/passed over gen_1\.1, which is no job/)
	})

	it('gives a job again that has ended without its generation, done or failed', { timeout: 60_000 }, async () => {
		const [producer, consumer] = [openProducer(queue.url), openConsumer(queue.url)]
		let taken = 0
		const worker = consumer.worker(
			'nobody',
			async () => {
				taken += 1
				if (taken === 2) {
					throw new Error('gave up')
				}
			},
			{}
		)
		// To add one that is there does nothing.
		const add = () => producer.add('nobody', [{ job, place: 1, isRaised: false }]).then(() => taken)
		await expect.poll(add, { timeout: 30_000 }).toBeGreaterThan(2)
		await worker.close()
		await Promise.all([consumer.close(), producer.close()])
	})

	it('gives first what was raised since it came', { timeout: 60_000 }, async () => {
		const producer = openProducer(queue.url)
		const model = `raised-${performance.now()}`
		const add = (generation: string, place: number, isRaised = false) =>
			producer.add(model, [{ job: { generation, epoch: 1, callback: 'http://127.0.0.1/', token: '' }, place, isRaised }])
		await add('gen_2', 2)
		await add('gen_3', 3)
		expect(await producer.waiting(model, 9)).toEqual(['gen_2.1', 'gen_3.1'])
		await add('gen_3', 1)
		expect(await producer.waiting(model, 9)).toEqual(['gen_2.1', 'gen_3.1'])
		await add('gen_3', 1, true)
		expect(await producer.waiting(model, 9)).toEqual(['gen_3.1', 'gen_2.1'])
		await producer.close()
	})

	it('was used by a node with a clock far ahead, which died with a job that it had just taken', { timeout: 90_000 }, async () => {
		vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 86_400_000 })
		// Time to have looked for what others have left, too.
		await use('ahead', (taken) => taken.then(() => sleep(2_000)))
		vi.useRealTimers()
		await use('ahead', (taken) => taken)
	})

	it.runIf(name === 'Redis')('has its clock set back after a node died with a job', { timeout: 90_000 }, async () => {
		await use('set-back', (taken) => taken, 5_000)
		// What is to end lasts longer by as much.
		const redis = new Redis(queue.url)
		for (const key of await redis.keys('*')) {
			const left = await redis.pttl(key)
			await (left > 0 && redis.pexpire(key, left + 86_400_000))
		}
		redis.disconnect()
		await use('set-back', (taken) => taken)
	})

	it('vanishes without a word from every connection, while it works and while it waits', { timeout: 180_000 }, async () => {
		const long = await stack.submit({ model: 'scenes', prompt: 'a red sphere', steps: 100, seed: 0 })
		way.forget()
		await developedOnce([long, await submit(1)])
		way.forget()
		await developedOnce([await submit(2), await submit(3)])
	})
})
