import { DurableObject } from 'cloudflare:workers'
import type { Standing } from '../../shared/contract/generation.ts'
import { jobId, openProducer, type Producer, type Queued } from '../../shared/queue.ts'
import { type Env, parseEnv } from '../env.ts'
import { soon } from '../soon.ts'
import { Line, longest } from './line.ts'

/** Jobs by model, which may be called `constructor`. */
export type Batch = Map<string, Queued[]>

/** Milliseconds that adding jobs may take: on a slow way a new connection takes many round trips. */
const patience = 15_000
const idle = 30_000
/** For those who only want to know where they stand: how long a look at the queue takes at most, and how long it holds. */
const lookFor = 500
const lookHolds = 1_000

/** Jobs that go in one command at most. */
const together = 500

/** Enough that one busy account does not hold up all others, few enough that the queue sees few connections. */
const shards = 4

/** An account's shard. */
export function dispatcherOf(env: Env, account: string): DurableObjectStub<Dispatcher> {
	let hash = 0
	for (const character of account) {
		hash = (hash * 31 + character.charCodeAt(0)) >>> 0
	}
	return env.DISPATCHER.getByName(String(hash % shards))
}

interface Connection {
	producer: Producer
	/** Rejects when the connection is given up. Each add has its own: one for all of them would hold on to whoever has ever waited for it. */
	broken: PromiseWithResolvers<never>
}

interface Waiting {
	/** By model, and by id. */
	jobs: Map<string, Map<string, Queued>>
	added: Promise<string | undefined>
}

/**
 * The owner of a connection to the queue. It has to live in a Durable Object: sockets belong to the request that opened them,
 * and all requests of one object share one I/O context, while in a module global the second request hangs without an error.
 */
export class Dispatcher extends DurableObject {
	readonly #url: string
	#connection: Connection | undefined
	/** What comes while the queue takes what came before. */
	#waiting: Waiting | undefined
	#last: Promise<unknown> = Promise.resolve()
	#closing: ReturnType<typeof setTimeout> | undefined
	#isLost = false
	/** By model. */
	readonly #lines = new Map<string, { line: Line; lookedAt: number; look: Promise<void> }>()

	constructor(ctx: DurableObjectState, raw: object) {
		super(ctx, raw as Cloudflare.Env)
		const env = parseEnv(raw)
		this.#url = env.HYPERDRIVE?.connectionString ?? (env.QUEUE_URL as string)
	}

	/**
	 * What went wrong, if anything: an error thrown here would be logged by the runtime as uncaught, at every attempt. Whatever comes while the
	 * queue is busy goes together after that, for each command costs the queue a transaction on its disk.
	 */
	async enqueue(batch: Batch): Promise<string | undefined> {
		this.#waiting ??= this.#wait()
		const { jobs, added } = this.#waiting
		for (const [model, queue] of batch) {
			const known = jobs.get(model) ?? new Map<string, Queued>()
			jobs.set(model, known)
			for (const queued of queue) {
				const id = jobId(queued.job)
				if (queued.isRaised || !known.has(id)) {
					known.set(id, queued)
				}
			}
		}
		return added
	}

	/** Takes a job out of the queue after those that came before were added. Of a queue that does not answer a node takes it, and is told that it has ended. */
	async remove(model: string, id: string): Promise<void> {
		await this.#last
		if (this.#isLost) {
			return
		}
		const { producer } = this.#connect()
		await within(patience, producer.remove(model, id)).catch(() => {})
		this.#closeWhenIdle()
	}

	/**
	 * Where a job stands, or will: `before` so many more go into the queue before it, null where it is there. However many ask, the queue is
	 * looked at once a second.
	 */
	async standing(model: string, id: string, before: number | null): Promise<Standing | undefined> {
		const now = Date.now()
		let seen = this.#lines.get(model)
		if (!seen || now - seen.lookedAt >= lookHolds) {
			const line = seen?.line ?? new Line()
			seen = { line, lookedAt: now, look: this.#look(model, line) }
			this.#lines.set(model, seen)
		}
		await seen.look
		return this.#isLost ? undefined : seen.line.standing(id, before)
	}

	/** A queue that does not answer is no reason to fail: nothing new is known then. */
	async #look(model: string, line: Line): Promise<void> {
		if (this.#isLost) {
			return
		}
		const { producer } = this.#connect()
		try {
			line.see(await within(lookFor, producer.waiting(model, longest)), Date.now())
		} catch {
			// Whoever adds jobs finds out what is wrong.
		} finally {
			this.#closeWhenIdle()
		}
	}

	#wait(): Waiting {
		const jobs: Waiting['jobs'] = new Map()
		const added = this.#last.then(() => {
			this.#waiting = undefined
			return this.#enqueue(jobs)
		})
		this.#last = added
		return { jobs, added }
	}

	async #enqueue(jobs: Waiting['jobs']): Promise<string | undefined> {
		clearTimeout(this.#closing)
		const isFresh = !this.#connection
		try {
			await this.#add(jobs).catch((error) => {
				if (isFresh) {
					throw error
				}
				// The old connection broke, or the schema was dropped: a new producer connects, and migrates again.
				return this.#add(jobs)
			})
			this.#note(undefined)
			return undefined
		} catch (error) {
			this.#note(String(error))
			return String(error)
		} finally {
			this.#closeWhenIdle()
		}
	}

	#connect(): Connection {
		this.#connection ??= { producer: openProducer(this.#url), broken: Promise.withResolvers<never>() }
		return this.#connection
	}

	#closeWhenIdle(): void {
		clearTimeout(this.#closing)
		this.#closing = setTimeout(() => this.#close(this.#connection, new Error('idle')), idle)
	}

	async #add(jobs: Waiting['jobs']): Promise<void> {
		const connection = this.#connect()
		const { producer } = connection
		const broken = Promise.withResolvers<never>()
		connection.broken = broken
		try {
			for (const [model, queued] of jobs) {
				const all = [...queued.values()]
				for (let i = 0; i < all.length; i += together) {
					await within(patience, Promise.race([producer.add(model, all.slice(i, i + together)), broken.promise]))
				}
			}
		} catch (error) {
			this.#close(connection, error)
			throw error
		}
	}

	/** One line when the queue is lost, and one when it is back. */
	#note(fault: string | undefined): void {
		if (fault !== undefined && !this.#isLost) {
			console.warn(`queue: lost (${fault}); accounts try again until it is back`)
		} else if (fault === undefined && this.#isLost) {
			console.log('queue: back')
		}
		this.#isLost = fault !== undefined
	}

	#close(connection: Connection | undefined, reason: unknown): void {
		if (!connection || this.#connection !== connection) {
			return
		}
		this.#connection = undefined
		connection.broken.promise.catch(() => {})
		connection.broken.reject(reason)
		// Closing a connection that hangs, hangs as well: nobody waits for it.
		this.ctx.waitUntil(within(patience, connection.producer.close()).catch(() => {}))
	}
}

/** `work`, or an error after `ms` milliseconds. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
	if (await soon(work, ms)) {
		return work
	}
	throw new Error(`The queue did not answer within ${ms} ms`)
}
