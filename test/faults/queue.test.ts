import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { postgresServer, type QueueServer, redisServer, withRedis } from '../queues.ts'
import { type Stack, startStack } from '../stack.ts'

const backends = [
	{ name: 'PostgreSQL', open: postgresServer },
	...(withRedis ? [{ name: 'Redis', open: () => redisServer() }] : [])
]

/** Seconds that the queue's server stays down. */
const outage = 10

describe.each(backends)('nothing accepted is lost when $name', ({ open }) => {
	let queue: QueueServer
	let stack: Stack
	beforeAll(async () => {
		queue = await open()
		await queue.start()
		stack = await startStack({ env: { QUEUE_URL: queue.url } })
	})
	afterAll(async () => {
		await stack?.close()
		await queue?.remove()
	})

	const submit = (i: number) => stack.submit({ model: 'scenes', prompt: 'a red sphere', steps: 4, seed: i })

	/** Every generation succeeds, and the node says so exactly once for each. */
	async function developedOnce(accepted: Generation[]): Promise<void> {
		const finished = await Promise.all(accepted.map(({ id }) => stack.finished(id)))
		expect(finished.map(({ status }) => status)).toEqual(finished.map(() => 'succeeded'))
		for (const { id } of accepted) {
			expect(
				stack.output.filter((line) => line.includes('gpu-node') && line.includes(id) && / in [0-9.]+ s, /.test(line))
			).toHaveLength(1)
		}
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
})
