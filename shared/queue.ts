import { createPostgresBackend, Queue, type Job as QueueJob, runMigrations, Worker, type WorkerOptions } from 'bullmq'
import { Redis } from 'ioredis'
import { StandaloneConnector } from 'ioredis/built/connectors/index.js'
import pg from 'pg'
import { z } from 'zod'
import { QueueUrl } from './queue-url.ts'

/** What a job carries: where to ask for the work, and the right to ask. Prompts and pictures never enter the queue. */
export const Job = z.object({
	generation: z.string(),
	epoch: z.int().min(1),
	callback: z.url({ protocol: /^https?$/ }),
	/** Bearer of the callbacks, for this generation and epoch alone. */
	token: z.string()
})
export type Job = z.infer<typeof Job>

/** One queue a model. */
const queueName = (model: string): string => `darkroom-${model}`

/** BullMQ ignores an add whose id is waiting or running, so the same job can be added again without harm. */
export const jobId = (job: Pick<Job, 'generation' | 'epoch'>): string => `${job.generation}.${job.epoch}`

/** A job on its way into the queue. */
export interface Queued {
	job: Job
	/** The lowest goes first; of one place, the first to come. From 1, and to 2^21 in BullMQ. */
	place: number
	/** It is in the queue at a higher place. */
	isRaised: boolean
}

/** The last place of normal work. Work of low priority waits behind it, until it is raised or was begun. */
export const lastNormal = 64

/** Milliseconds for which a node has a job to itself before it has to say again that it is at it. */
export const lock = 30_000
/** Milliseconds between two looks at locks that a clock that is wrong has set. */
const lookEvery = 60_000
/** Milliseconds: what is ahead of the database's own clock by more is of such a clock; the rest is over soon. */
const farAhead = 300_000

export interface Producer {
	/** Makes the schema where it is missing, as `add` does at its first call, and sees whether the queue answers. */
	prepare(): Promise<void>
	/** Adds jobs to a model's queue. Those that are there already stay as they are, unless they are raised. */
	add(model: string, jobs: readonly Queued[]): Promise<void>
	/** Takes a job out of a model's queue, where it is there and no node has it. */
	remove(model: string, id: string): Promise<void>
	/** The ids of the first `most` jobs that wait in a model's queue, the next one first. */
	waiting(model: string, most: number): Promise<string[]>
	close(): Promise<void>
}

export interface Consumer {
	worker(model: string, work: (job: QueueJob<unknown>) => Promise<void>, options: Omit<WorkerOptions, 'connection'>): Worker
	close(): Promise<void>
}

/** A producer for `postgres://`, `redis://` or `rediss://`. On PostgreSQL it owns the schema and makes it where it is missing. */
export function openProducer(url: string): Producer {
	const backend = openBackend(url, 'producer')
	const queues = new Map<string, Queue>()
	let ready: Promise<void> | undefined
	let lookedAt = Number.NEGATIVE_INFINITY
	const prepare = () => {
		ready ??= backend.prepare()
		return ready
	}
	const queueOf = async (model: string): Promise<Queue> => {
		await prepare()
		let queue = queues.get(model)
		if (!queue) {
			queue = new Queue(queueName(model), ...(backend.options({ skipMetasUpdate: true }) as [never]))
			queue.on('error', () => {}) // Reported by the failing call itself.
			queues.set(model, queue)
		}
		return queue
	}
	return {
		async prepare() {
			await prepare()
			await backend.answers()
		},
		async add(model, jobs) {
			const queue = await queueOf(model)
			if (performance.now() - lookedAt >= lookEvery) {
				lookedAt = performance.now()
				// What goes wrong with that is no reason to add nothing.
				await backend.loosen([...queues.values()]).catch(() => {})
			}
			// Kept finished jobs would make BullMQ ignore their ids for ever.
			const opts = { removeOnComplete: true, removeOnFail: true }
			const added = await queue.addBulk(
				jobs.map(({ job, place }) => ({ name: 'generation', data: job, opts: { ...opts, jobId: jobId(job), priority: place } }))
			)
			for (const [i, { place, isRaised }] of jobs.entries()) {
				if (isRaised) {
					// Refused where it has left the queue meanwhile.
					await added[i]?.changePriority({ priority: place }).catch(() => {})
				}
			}
		},
		async remove(model, id) {
			await (await queueOf(model)).remove(id, { removeChildren: false })
		},
		async waiting(model, most) {
			return (await queueOf(model)).getRanges(['prioritized'], 0, most - 1, true)
		},
		async close() {
			// At once: a queue waits for a connection that may never come, and would send what is left when it does.
			await Promise.allSettled([backend.close(), ...[...queues.values()].map((queue) => queue.close())])
		}
	}
}

/** A consumer of the same queues. Close its workers before it. */
export function openConsumer(url: string): Consumer {
	// A backend for each worker: on PostgreSQL every worker keeps one connection of its pool for LISTEN.
	const backends: Backend[] = []
	return {
		worker(model, work, options) {
			const backend = openBackend(url, 'consumer')
			backends.push(backend)
			return new Worker(queueName(model), work, ...(backend.options(options) as [never]))
		},
		async close() {
			await Promise.allSettled(backends.map((backend) => backend.close()))
		}
	}
}

/** Whether a job has a place of normal work. */
export const isNormal = ({ priority = 0 }: { readonly priority?: number }): boolean => priority <= lastNormal

/**
 * Takes the job that is next in a worker's queue, however many it has, if that is normal work. The queue forgets it at once: who has taken it is to ask the edge,
 * which adds it again for as long as nobody has.
 */
export async function takeNormal(worker: Worker): Promise<QueueJob<unknown> | undefined> {
	const queue = worker.getBackend()
	const [[next] = []] = await queue.getRanges(['prioritized'], 0, 0, true)
	const seen = next === undefined ? undefined : await queue.getJobData(next)
	if (!seen || !isNormal(seen)) {
		return undefined
	}
	const token = crypto.randomUUID()
	const job = await worker.getNextJob(token, { block: false })
	if (job && !isNormal(job)) {
		await job.moveToWait(token) // Another node was faster. It is first of its place again.
		return undefined
	}
	await job?.moveToCompleted(undefined, token, false)
	return job
}

interface Backend {
	/** The trailing constructor arguments of BullMQ's classes: options with the connection, and the factory of the backend. */
	options(options: object): unknown[]
	prepare(): Promise<void>
	/** Throws why it does not. */
	answers(): Promise<unknown>
	/** Shortens what is held in these queues for longer than a node could hold it: a clock was ahead. */
	loosen(queues: readonly Queue[]): Promise<unknown>
	close(): Promise<void>
}

function openBackend(url: string, side: 'producer' | 'consumer'): Backend {
	const { error } = QueueUrl.safeParse(url)
	if (error) {
		throw new Error(`QUEUE_URL: ${error.issues[0]!.message}`)
	}
	return url.startsWith('postgres') ? postgres(url) : redis(url, side)
}

/** Milliseconds without an answer after which a connection counts as lost, though nobody closed it: longer than BullMQ's commands block. */
const silence = 15_000

/** Of a model's consumer, and of a producer, to PostgreSQL. */
export const mostConnections = 5

const session = {
	// BullMQ names its tables without their schema when it is given a pool.
	search_path: 'bullmq',
	// Seconds: or the server would keep the connections of a machine that is gone for hours, until it takes no more.
	tcp_keepalives_idle: 30,
	tcp_keepalives_interval: 10,
	tcp_keepalives_count: 3
}

/**
 * BullMQ writes a node's own time into PostgreSQL (into Redis only how long). Of one whose clock was ahead, a job that it had taken, and the look
 * for jobs that nobody is at any more, would wait until the clock of all others has caught up.
 */
const loosen = `
	WITH clock AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now),
	-- Compared as text, as which both have 13 digits: other fields hold no numbers.
	looks AS (DELETE FROM meta USING clock WHERE field = 'stalled-check' AND value > (now + ${farAhead})::text)
	UPDATE job SET locked_until_ms = now + ${lock} FROM clock WHERE state = 'active' AND locked_until_ms > now + ${farAhead}`

function postgres(connectionString: string): Backend {
	const pool = new pg.Pool({
		connectionString,
		options: Object.entries(session)
			.map((setting) => `-c ${setting.join('=')}`)
			.join(' '),
		max: mostConnections,
		keepAlive: true,
		connectionTimeoutMillis: silence,
		query_timeout: silence
	})
	// One that drops while it is idle is replaced by the pool, and while it is in use the query fails. Between two queries nobody else listens.
	pool.on('error', () => {})
	pool.on('connect', (client) => client.on('error', () => {}))
	return {
		options: (options) => [{ ...options, connection: pool }, createPostgresBackend],
		async prepare() {
			const client = await pool.connect()
			try {
				await runMigrations(client)
			} finally {
				client.release()
			}
		},
		answers: () => pool.query('SELECT 1'),
		loosen: () => pool.query(loosen),
		close: () => pool.end()
	}
}

/**
 * Redis keeps at what time each key ends: after its own clock was set back, they would last until that has caught up. `KEYS`: the look, the jobs that nodes have, and
 * what the keys of each begin with; `ARGV`: how far ahead is too far, and how long a job is held.
 */
const loosenKeys = `
	local function isFar(key) return redis.call('PTTL', key) > tonumber(ARGV[1]) end
	if isFar(KEYS[1]) then redis.call('DEL', KEYS[1]) end
	for _, id in ipairs(redis.call('LRANGE', KEYS[2], 0, -1)) do
		local held = KEYS[3] .. id .. ':lock'
		if isFar(held) then redis.call('PEXPIRE', held, ARGV[2]) end
	end`

/** ioredis listens for one error of each socket. One of TLS may have two, where a certificate is refused and it is closed meanwhile: the second would end the process. */
class Connector extends StandaloneConnector {
	override async connect(...given: Parameters<StandaloneConnector['connect']>) {
		const socket = await super.connect(...given)
		return socket.on('error', () => {})
	}
}

function redis(url: string, side: 'producer' | 'consumer'): Backend {
	const connection = new Redis(url, {
		Connector: Connector as new (options: unknown) => Connector,
		// A producer fails soon and its caller tries again; a consumer waits for as long as it takes (BullMQ insists on null).
		maxRetriesPerRequest: side === 'producer' ? 1 : null,
		enableOfflineQueue: true,
		connectTimeout: silence,
		socketTimeout: silence,
		retryStrategy: (attempt) => Math.min(100 * 2 ** attempt, 2_000)
	})
	let latest: Error | undefined
	// Reported by the command that fails, or by BullMQ's worker.
	connection.on('error', (error) => {
		latest = error
	})
	return {
		options: (options) => [{ ...options, connection }],
		// Where it has no database of that number, ioredis would go on in the first one.
		prepare: async () => void (connection.options.db && (await connection.select(connection.options.db))),
		// The command that fails says that it was tried often enough, and not why.
		answers: () => connection.ping().catch((error) => Promise.reject(latest ?? error)),
		loosen: (queues) =>
			Promise.all(
				queues.map((queue) =>
					connection.eval(loosenKeys, 3, ...['stalled-check', 'active', ''].map((name) => queue.toKey(name)), farAhead, lock)
				)
			),
		close: async () => connection.disconnect()
	}
}
