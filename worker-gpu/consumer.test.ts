import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { openProducer } from '../shared/queue.ts'
import { postgresServer, type QueueServer } from '../test/queues.ts'
import { consume } from './consumer.ts'

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
