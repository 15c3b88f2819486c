import type { Job as QueueJob } from 'bullmq'
import { isNormal, Job, lock, openConsumer, takeNormal } from '../shared/queue.ts'
import { EdgeUnreachable } from './edge-errors.ts'
import { wait } from './wait.ts'

/**
 * Generations of one model that this node works on at once. More wait in the queue, for whichever node is free first. But normal work does not wait for work of low
 * priority: as many of it find room beside that, which rests meanwhile (engine/schedule.ts).
 */
const CONCURRENCY = 16
/** Milliseconds between two looks for normal work that there is such room for. */
const LOOK_MS = 500
/** Milliseconds between attempts at a queue that is lost. */
const RETRY_MS = 1_000
/**
 * Milliseconds that a model's queue is left to other nodes where this one cannot load it, or is cut off from the edge or from storage: it would take
 * all there is, for it would always be free. What it was cut off from may answer sooner.
 */
const REST_MS = 30_000
/** Milliseconds that an answer to the question whether there is one may take. */
const GLANCE_MS = 5_000

export interface ConsumerOptions {
	readonly queueUrl: string
	readonly model: string
	/** Origins. A job that calls back elsewhere is passed over: whoever can write into the queue could have the node post to anyone. Absent: any. */
	readonly edges?: readonly string[] | undefined
	readonly log: (line: string) => void
	/** Rejects when the job could not be brought to an end. `waited`: milliseconds that it was in the queue. */
	work(job: Job, waited: number): Promise<void>
}

/** What outlives a worker that is thrown away. */
interface Kept {
	/** What goes on without the present worker: what earlier ones took, and what was taken beside work of low priority. */
	readonly jobs: Set<Promise<void>>
	/** How many of all that goes on are normal work, and how many of low priority. */
	readonly count: Record<'normal' | 'low', number>
	/** The last one could do none, and nothing has come to an end since: others are better off with all but one. */
	wasUnable: boolean
	/** Told when any of this changes. */
	onChange(): void
}

/**
 * Takes a model's jobs from the queue until `signal` ends it; resolves when the jobs in progress have ended.
 *
 * BullMQ's Worker does not outlive everything (a PostgreSQL schema that is dropped leaves it polling in a storm of errors, and a
 * failed first connection is never tried again), so after any error it is thrown away and made anew. Work in progress goes on
 * meanwhile, and leaves the next one less room; the edge is its judge, not the queue.
 */
export async function consume(options: ConsumerOptions, signal: AbortSignal): Promise<void> {
	const kept: Kept = { jobs: new Set(), count: { normal: 0, low: 0 }, wasUnable: false, onChange() {} }
	let lost = false
	while (!signal.aborted) {
		const trouble = await consumeUntilTrouble(options, signal, kept, () => {
			if (lost) {
				options.log(`queue of ${options.model}: back`)
			}
			lost = false
		})
		kept.wasUnable ||= trouble !== undefined && isUnable(trouble)
		if (trouble instanceof EdgeUnreachable) {
			options.log(`queue of ${options.model}: left to others until ${trouble.origin} answers (${trouble.message})`)
			await untilAnswered(trouble.origin, signal)
			continue
		}
		const rests = trouble?.name === 'ModelNotLoaded'
		if (rests) {
			options.log(`queue of ${options.model}: left to others for ${REST_MS / 1000} s (${trouble?.message})`)
		} else if (trouble && !lost) {
			options.log(`queue of ${options.model}: lost (${trouble.message}); trying again until it is back`)
			lost = true
		}
		await wait(rests ? REST_MS : RETRY_MS, signal).catch(() => {})
	}
	await Promise.all(kept.jobs)
}

/** Resolves with the first error of the worker, or of a job that says why this node can do none, or with nothing when the signal ended it. */
async function consumeUntilTrouble(
	{ queueUrl, model, edges, log, work }: ConsumerOptions,
	signal: AbortSignal,
	kept: Kept,
	onAnswer: () => void
): Promise<Error | undefined> {
	const end = Promise.withResolvers<Error | undefined>()
	const stop = () => end.resolve(undefined)
	signal.addEventListener('abort', stop, { once: true })
	const consumer = openConsumer(queueUrl)
	const jobs = new Set<Promise<void>>()
	const workOn = async (queued: QueueJob<unknown>, among = jobs) => {
		const { id, data, timestamp } = queued
		const job = Job.safeParse(data)
		if (!job.success || !(edges?.includes(new URL(job.data.callback).origin) ?? true)) {
			log(`queue of ${model}: passed over ${id}, which is no job of ours`)
			return
		}
		const kind = isNormal(queued) ? 'normal' : 'low'
		const working = work(job.data, Date.now() - timestamp)
		const going = working
			.then(() => {
				kept.wasUnable = false
			})
			.catch((error: Error) => isUnable(error) && end.resolve(error))
			.then(() => {
				jobs.delete(going)
				kept.jobs.delete(going)
				kept.count[kind] -= 1
				kept.onChange()
			})
		among.add(going)
		kept.count[kind] += 1
		kept.onChange()
		await working
	}
	/** Until the signal. */
	const lookForNormal = async (signal: AbortSignal): Promise<never> => {
		for (;;) {
			await wait(LOOK_MS, signal)
			while (kept.count.low > 0 && kept.count.normal < CONCURRENCY && !kept.wasUnable) {
				const job = await takeNormal(worker).catch(() => undefined) // The worker itself tells of a queue that is lost.
				if (!job) {
					break
				}
				void workOn(job, kept.jobs).catch(() => {})
			}
		}
	}
	const worker = consumer.worker(model, (job) => workOn(job), {
		concurrency: CONCURRENCY,
		lockDuration: lock,
		stalledInterval: 15_000,
		// A job that stalls more often fails without a word; how many attempts there are is the edge's to say.
		maxStalledCount: 1_000_000,
		runRetryDelay: RETRY_MS
	})
	kept.onChange = () => {
		worker.concurrency = kept.wasUnable ? 1 : Math.max(1, CONCURRENCY - kept.jobs.size)
	}
	kept.onChange()
	worker.on('error', (error) => {
		if (!isAboutOneJob(error)) {
			end.resolve(error)
		}
	})
	worker.waitUntilReady().catch(end.resolve)
	const over = new AbortController()
	const looking = lookForNormal(over.signal).catch(() => {})
	// It has given a job, or said that there is none: a Redis that is full, or a replica now, connects, and then refuses.
	for (const answered of ['active', 'drained'] as const) {
		worker.once(answered, onAnswer)
	}
	try {
		return await end.promise
	} finally {
		signal.removeEventListener('abort', stop)
		over.abort()
		if (signal.aborted) {
			await looking
			await worker.close() // When its jobs have ended.
			await consumer.close()
		} else {
			for (const job of jobs) {
				kept.jobs.add(job)
			}
			// By force: its jobs go on by themselves. Not awaited: a lost connection can take long to close.
			void worker
				.close(true)
				.catch(() => {})
				.then(consumer.close)
		}
	}
}

const isUnable = (error: Error): boolean => error.name === 'ModelNotLoaded' || error instanceof EdgeUnreachable

/** Until there is an answer of any kind, but of a server's that is out of order; or until it is time to try. */
async function untilAnswered(origin: string, signal: AbortSignal): Promise<void> {
	for (const until = performance.now() + REST_MS; performance.now() < until && !signal.aborted; ) {
		await wait(RETRY_MS, signal).catch(() => {})
		const late = AbortSignal.timeout(GLANCE_MS)
		const answer = await fetch(origin, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.any([signal, late]) }).catch(
			() => {}
		)
		if (answer && answer.status < 500) {
			return
		}
	}
}

/** A lock that ran out, a job that is gone: someone else has it, and the edge decides who counts. */
const isAboutOneJob = (error: Error): boolean => /\block\b|Missing key|Missing lock|not in the active state/i.test(error.message)
