import { setTimeout as sleep } from 'node:timers/promises'
import { buildEdge } from '../infra/build.ts'
import { type Edge, type EdgeOptions, startEdge } from '../infra/edge.ts'
import { freePort } from '../infra/ports.ts'
import type { Job } from '../shared/queue.ts'
import { consume } from '../worker-gpu/consumer.ts'
import { postgresServer, type QueueServer } from './queues.ts'

export const secrets = {
	DARKROOM_SECRET: 'secret-of-the-tests-secret-of-the-tests',
	ADMIN_TOKEN: 'admin-token-of-the-tests-admin-token',
	S3_ACCESS_KEY_ID: 'access-key-of-the-tests',
	S3_SECRET_ACCESS_KEY: 'secret-access-key-of-the-tests'
}

/** The built edge with a real queue and no GPU node: tests play the node's part. */
export interface BareEdge extends Edge {
	queue: QueueServer
	adminToken: string
	/** A new key of `account`, which has plenty of credit. */
	key(account: string): Promise<string>
	/** Takes jobs from the queue in the order of their coming; waits for one at most `timeout` milliseconds. */
	takeJob(timeout?: number): Promise<Job | undefined>
}

export async function startBareEdge(options: Partial<EdgeOptions> = {}): Promise<BareEdge> {
	await buildEdge()
	const queue = await postgresServer()
	await queue.start()
	const edge = await startEdge({ port: await freePort(), secrets: { ...secrets, QUEUE_URL: queue.url }, ...options })
	const closing = new AbortController()
	let consumer: Promise<void> | undefined
	const jobs: Job[] = []
	return {
		...edge,
		queue,
		adminToken: secrets.ADMIN_TOKEN,
		async key(account) {
			const admin = (path: string, body: object) =>
				fetch(`${edge.url}/v1/admin/accounts/${account}/${path}`, {
					method: 'POST',
					headers: { authorization: `Bearer ${secrets.ADMIN_TOKEN}`, 'content-type': 'application/json' },
					body: JSON.stringify(body)
				})
			await admin('credits', { amount: 1_000_000_000, reference: 'the tests' })
			return ((await (await admin('keys', { name: 'test' })).json()) as { key: string }).key
		},
		async takeJob(timeout = 20_000) {
			consumer ??= consume(
				{ queueUrl: queue.url, model: 'scenes', log: () => {}, work: async (job) => void jobs.push(job) },
				closing.signal
			)
			for (const until = Date.now() + timeout; Date.now() < until; await sleep(20)) {
				const job = jobs.shift()
				if (job) {
					return job
				}
			}
			return undefined
		},
		async close() {
			closing.abort()
			await consumer
			await edge.close()
			await queue.remove()
		}
	}
}
