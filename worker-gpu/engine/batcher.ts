import type { Evaluation } from '../ldm/denoiser.ts'
import type { Plan, Row } from '../ldm/plan.ts'
import { assertFinite } from '../onnx/finite.ts'
import type { Tensor } from '../onnx/tensor.ts'

/** One request's work: a plan to be made, and a row for each picture. */
export interface Task {
	prepare(): Promise<Plan>
	readonly pictures: readonly { readonly n: number; readonly seed: number }[]
	readonly signal: AbortSignal
	/** Evaluations done, of `total`, summed over the pictures; at the start and after each tick. */
	onProgress(done: number, total: number): void
	/** [3, H, W] */
	onPicture(picture: { readonly n: number; readonly seed: number }, image: Tensor): void
}

export interface Batcher {
	/** Resolves when every picture was handed out; rejects with the signal's reason, or with what went wrong. */
	develop(task: Task): Promise<{ inferenceMs: number }>
}

interface Options {
	/**
	 * Latent positions (h · w) that one call of the network may hold, summed over its evaluations; a guided row has two of these. One row is
	 * always taken. Memory and time grow with positions, so large pictures make small batches.
	 */
	readonly batchPositions: number
	/** Milliseconds spent inside ONNX Runtime since its start. */
	readonly inferenceMs: () => number
}

interface Live {
	readonly job: Job
	readonly plan: Plan
	readonly row: Row
	readonly picture: Task['pictures'][number]
}

/** A task on its way. */
interface Job {
	readonly task: Task
	readonly settle: PromiseWithResolvers<{ inferenceMs: number }>
	/** Time of every call that it took part in, batches counted whole. */
	inferenceMs: number
	done: number
	total: number
	/** Pictures not yet handed out. */
	open: number
	over: boolean
}

/**
 * Continuous batching of evaluations, not of requests. One loop owns all state: each turn it takes in new tasks, runs one tick of one
 * group of rows, and decodes one finished picture. So rows join and leave between any two ticks, and nobody waits for another's steps.
 */
export function createBatcher({ batchPositions, inferenceMs }: Options): Batcher {
	let arrived: Job[] = []
	/** Rows that can share a call, oldest first. The group whose turn is next comes first. */
	const groups = new Map<string, Live[]>()
	/** Rows that have made all their evaluations, oldest first. */
	let denoised: Live[] = []
	let running = false

	async function loop(): Promise<void> {
		running = true
		while (arrived.length > 0 || groups.size > 0 || denoised.length > 0) {
			dropOver()
			await takeIn()
			await tick()
			await decodeOne()
		}
		running = false
	}

	/** Runs `call` for these jobs; they share its time, and its failure. Undefined when it failed. */
	async function measured<T>(jobs: ReadonlySet<Job>, call: () => Promise<T>): Promise<T | undefined> {
		const before = inferenceMs()
		try {
			return await call()
		} catch (error) {
			for (const job of jobs) {
				fail(job, error)
			}
			return undefined
		} finally {
			const spent = inferenceMs() - before
			for (const job of jobs) {
				job.inferenceMs += spent
			}
		}
	}

	async function takeIn(): Promise<void> {
		const jobs = arrived
		arrived = []
		for (const job of jobs) {
			const rows = await measured(new Set([job]), async () => {
				const plan = await job.task.prepare()
				job.total = plan.evaluations * job.task.pictures.length
				return job.task.pictures.map((picture) => ({ job, plan, row: plan.start(picture.seed), picture }))
			})
			if (!rows || job.over) {
				continue
			}
			job.task.onProgress(0, job.total)
			for (const live of rows) {
				const key = groupKey(live.plan, live.plan.evaluate(live.row))
				const group = groups.get(key)
				group ? group.push(live) : groups.set(key, [live])
			}
		}
	}

	async function tick(): Promise<void> {
		const [next] = groups
		if (!next) {
			return
		}
		const [key, group] = next
		const packed: { live: Live; evaluations: readonly Evaluation[] }[] = []
		let size = 0
		for (const live of group) {
			const evaluations = live.plan.evaluate(live.row)
			size += evaluations.length * positions(live.row.x)
			if (packed.length > 0 && size > batchPositions) {
				break
			}
			packed.push({ live, evaluations })
		}

		const jobs = new Set(packed.map(({ live }) => live.job))
		const asked = packed.flatMap(({ evaluations }) => evaluations)
		const outputs = await measured(jobs, () => packed[0]!.live.plan.denoiser.predict(asked))
		if (outputs) {
			let at = 0
			for (const { live, evaluations } of packed) {
				advance(live, outputs.slice(at, at + evaluations.length))
				at += evaluations.length
			}
			for (const job of jobs) {
				if (!job.over) {
					job.task.onProgress(job.done, job.total)
				}
			}
		}

		const left = group.filter(({ job, plan, row }) => !job.over && row.k < plan.evaluations)
		groups.delete(key)
		if (left.length > 0) {
			groups.set(key, left)
		}
	}

	function advance(live: Live, outputs: readonly Tensor[]): void {
		const { job, plan, row, picture } = live
		try {
			for (const output of outputs) {
				assertFinite(output, `output of the U-Net for picture ${picture.n}, evaluation ${row.k + 1} of ${plan.evaluations}`)
			}
			plan.advance(row, outputs)
			assertFinite(row.x, `latent of picture ${picture.n} after evaluation ${row.k} of ${plan.evaluations}`)
		} catch (error) {
			fail(job, error)
			return
		}
		job.done += 1
		if (row.k === plan.evaluations) {
			denoised.push(live)
		}
	}

	async function decodeOne(): Promise<void> {
		const live = denoised.shift()
		if (!live || live.job.over) {
			return
		}
		const { job, plan, row, picture } = live
		const image = await measured(new Set([job]), async () => {
			const decoded = await plan.finish(row)
			assertFinite(decoded, `picture ${picture.n} as decoded`)
			return decoded
		})
		if (!image || job.over) {
			return
		}
		job.task.onPicture(picture, image)
		job.open -= 1
		if (job.open === 0) {
			job.over = true
			job.settle.resolve({ inferenceMs: job.inferenceMs })
		}
	}

	function fail(job: Job, reason: unknown): void {
		job.over = true
		job.settle.reject(reason)
	}

	/** Forgets the rows of jobs that have ended: cancels take effect here, before the next tick. */
	function dropOver(): void {
		arrived = arrived.filter((job) => !job.over)
		denoised = denoised.filter(({ job }) => !job.over)
		for (const [key, group] of groups) {
			const left = group.filter(({ job }) => !job.over)
			if (left.length === 0) {
				groups.delete(key)
			} else if (left.length < group.length) {
				groups.set(key, left)
			}
		}
	}

	return {
		async develop(task) {
			task.signal.throwIfAborted()
			if (task.pictures.length === 0) {
				return { inferenceMs: 0 }
			}
			const settle = Promise.withResolvers<{ inferenceMs: number }>()
			const job: Job = { task, settle, inferenceMs: 0, done: 0, total: 0, open: task.pictures.length, over: false }
			const cancel = () => fail(job, task.signal.reason)
			task.signal.addEventListener('abort', cancel, { once: true })
			arrived.push(job)
			if (!running) {
				void loop()
			}
			try {
				return await settle.promise
			} finally {
				task.signal.removeEventListener('abort', cancel)
			}
		}
	}
}

/** h · w of a latent [C, h, w]. */
const positions = ({ data, dims }: Tensor): number => data.length / dims[0]!

/** Rows of one group can share a call: same network, same shapes. */
function groupKey({ denoiser }: Plan, [first]: readonly Evaluation[]): string {
	const { x, cond } = first!
	const inputs = Object.entries(cond).map(([name, { dims }]) => `${name} ${dims}`)
	return [denoiser.id, `x ${x.dims}`, ...inputs.sort()].join(' | ')
}
