import type { Denoiser, Evaluation } from '../ldm/denoiser.ts'
import type { Pause } from '../ldm/pause.ts'
import type { Guess, Plan, Row } from '../ldm/plan.ts'
import { assertFinite, NotFinite } from '../onnx/finite.ts'
import { isOutOfMemory } from '../onnx/out-of-memory.ts'
import { callTime } from '../onnx/part.ts'
import type { Tensor } from '../onnx/tensor.ts'
import { inParts } from './in-parts.ts'
import type { BatchLimits } from './limits.ts'
import { type Candidate, chooseRows, type Turn } from './schedule.ts'
import type { SteadySizes } from './steady-sizes.ts'

export interface Picture {
	readonly n: number
	readonly seed: number
}

/** One request's work: a plan to be made, and a row for each picture. */
export interface Task {
	/** Pauses between its parts. */
	prepare(pause: Pause): Promise<Plan>
	readonly pictures: readonly Picture[]
	/** Higher goes first; 0 by default. */
	readonly priority?: number
	/** When it expires; of equal priority, what expires sooner goes first. Any unit that all tasks share. */
	readonly deadline?: number | undefined
	readonly signal: AbortSignal
	/** Where a picture goes on, instead of at its start: changes the row that has just been started. */
	restore?(picture: Picture, row: Row, plan: Plan): void
	/** At the start and after each tick: evaluations done, of `total`, summed over the pictures. */
	onProgress(done: number, total: number): void
	/** After each of its evaluations: whether the row is to be decoded as it is now, for `onPartial`. */
	wantsPartial?(picture: Picture, row: Row): boolean
	/** The latent's guess of `step` evaluations, decoded: [3, H, W]. Not of one that the first stage can make no picture of. */
	onPartial?(picture: Picture, step: number, x0: Tensor, image: Tensor): void
	/** [3, H, W] */
	onPicture(picture: Picture, image: Tensor, row: Row): void
}

export interface Batcher {
	/** Resolves when every picture was handed out; rejects with the signal's reason, or with what went wrong. */
	develop(task: Task): Promise<{ inferenceMs: number }>
	/** The rows of a task that are not handed out yet; empty before it was prepared. They change with the next tick. */
	rowsOf(task: Task): readonly { readonly n: number; readonly row: Row }[]
	/**
	 * Stops for good at the end of the tick that is running. What was to be decoded then is decoded still. The other rows can be read then; nothing of
	 * theirs settles any more.
	 */
	halt(): Promise<void>
	/** How many rows are in calls, or were in the last one, and how many waited. */
	readonly load: { readonly active: number; readonly waiting: number }
}

export interface Tick {
	/** Evaluations in the call. */
	readonly size: number
	/** From the choice of its rows to their progress, and of that inside ONNX Runtime. */
	readonly ms: number
	readonly inferenceMs: number
}

interface Options {
	readonly limits: BatchLimits
	/** Told, before a call that may crash, whose it is, and whose the one is that is under way. */
	readonly onCall?: (tasks: ReadonlySet<Task>) => void
	readonly onTick?: (tick: Tick) => void
	/** Where a call of a new size costs more: then sizes and groups change as little as can be. */
	readonly steady?: SteadySizes | undefined
	/** Two where calls leave this thread free: then one lane's rows are advanced while the other's call runs. One by default. */
	readonly lanes?: 1 | 2
}

/** Milliseconds without work after which batch limits are measured. */
const IDLE_MS = 1_000

interface Live extends Candidate {
	readonly job: Job
	readonly plan: Plan
	readonly row: Row
	readonly picture: Picture
	busy: boolean
}

/** A task on its way. */
interface Job {
	readonly task: Task
	readonly settle: PromiseWithResolvers<{ inferenceMs: number }>
	/** Not yet handed out. */
	rows: Live[]
	/** Inside ONNX Runtime, of every call that it took part in, batches counted whole. */
	inferenceMs: number
	done: number
	total: number
	over: boolean
}

/** Something to do for one job between two ticks, in one part or in several. */
interface Chunk {
	readonly job: Job
	/** Resolves with whether that was the last part. */
	goOn(): Promise<boolean>
}

/**
 * Continuous batching of evaluations, not of requests. Each turn of a lane takes in new tasks, or one text or image of them, runs one tick of one group of rows,
 * and decodes one picture, or one tile of it. So rows join and leave between any two ticks, and nobody waits for another's steps. Two lanes share all state, which
 * changes only between two calls of theirs; what one of them has taken is not the other's.
 */
export function createBatcher({ limits, onCall = () => {}, onTick = () => {}, steady, lanes = 1 }: Options): Batcher {
	/** Tasks to prepare, and pictures to decode; oldest first. */
	const arrived: Chunk[] = []
	const chunks: Chunk[] = []
	/** Rows that can share a call, oldest first. */
	const groups = new Map<string, Live[]>()
	const jobs = new Map<Task, Job>()
	/** Whose calls are under way, of each lane. */
	const calling = new Set<ReadonlySet<Job>>()
	let arrivals = 0
	let load = { active: 0, waiting: 0 }
	/** Milliseconds of the last tick. */
	let lastTick = 0
	let running: Promise<void> | undefined
	let halted = false
	let idle: NodeJS.Timeout | undefined
	/** Settles when there is something else to do than before. */
	let change = Promise.withResolvers<void>()

	function changed(): void {
		change.resolve()
		change = Promise.withResolvers()
	}

	async function loop(): Promise<void> {
		clearTimeout(idle)
		do {
			let idling = 0
			let over = false
			const lane = async () => {
				while (!halted && !over) {
					const before = change
					dropOver()
					await takeIn()
					await tick()
					await onePart(chunks)
					if (change !== before) {
						continue
					}
					// When all of them have found nothing, nothing is left.
					idling += 1
					over = idling === lanes
					if (over) {
						changed()
					} else {
						await before.promise
						idling -= 1
					}
				}
				while (chunks.length > 0) {
					await onePart(chunks)
				}
			}
			await Promise.all(Array.from({ length: lanes }, lane))
		} while (!halted && arrived.length > 0)
		load = { active: 0, waiting: 0 }
		running = undefined
		if (!halted) {
			idle = setTimeout(() => {
				running = measureLimits()
			}, IDLE_MS)
			idle.unref()
		}
	}

	/** Until there is work again; a newcomer waits for one call at most. */
	async function measureLimits(): Promise<void> {
		onCall(new Set())
		while (arrived.length === 0 && !halted && (await limits.measure())) {
			// One call of the network each time.
		}
		running = undefined
		if (arrived.length > 0) {
			running = loop()
		}
	}

	/** Runs `call` for these jobs; they share its failure. Undefined when it failed. */
	async function attempt<T>(jobs: ReadonlySet<Job>, call: () => Promise<T>): Promise<T | undefined> {
		calling.add(jobs)
		onCall(new Set([...calling].flatMap((jobs) => Array.from(jobs, ({ task }) => task))))
		try {
			return await call()
		} catch (error) {
			for (const job of jobs) {
				fail(job, error)
			}
			return undefined
		} finally {
			calling.delete(jobs)
		}
	}

	/** One part at least; more for as long as they take no more than a quarter of a tick, or when there is nobody to keep waiting. */
	async function takeIn(): Promise<void> {
		const began = performance.now()
		do {
			await onePart(arrived)
		} while (arrived.length > 0 && (groups.size === 0 || performance.now() - began < lastTick / 4))
	}

	const preparing = (job: Job): Chunk => chunkOf(job, async (pause) => enter(job, await job.task.prepare(pause)))

	/** The rows of a job, as soon as there is a plan for them. */
	function enter(job: Job, plan: Plan): void {
		const { task } = job
		const rows = task.pictures.map((picture): Live => {
			const row = plan.start(picture.seed)
			task.restore?.(picture, row, plan)
			return {
				job,
				plan,
				row,
				picture,
				turn: newTurn(task),
				evaluations: plan.evaluate({ ...row, k: 0 }).length,
				busy: false,
				get left() {
					return plan.evaluations - row.k
				}
			}
		})
		if (job.over) {
			return
		}
		job.rows = rows
		job.total = rows.reduce((sum, { plan }) => sum + plan.evaluations, 0)
		job.done = rows.reduce((sum, { row }) => sum + row.k, 0)
		task.onProgress(job.done, job.total)
		for (const live of rows) {
			chunks.push(...(live.row.unshown ?? []).map((guess) => showing(live, guess)))
			if (live.row.k === live.plan.evaluations) {
				chunks.push(finishing(live))
				continue
			}
			const key = groupKey(live.plan, live.plan.evaluate(live.row))
			const group = groups.get(key)
			group ? group.push(live) : groups.set(key, [live])
		}
	}

	const newTurn = ({ priority = 0, deadline = Number.POSITIVE_INFINITY }: Task): Turn => ({
		priority,
		deadline,
		arrival: arrivals++,
		age: 0,
		waited: 0,
		begun: false
	})

	async function tick(): Promise<void> {
		const began = performance.now()
		const roomOf = (key: string) => limits.of(key, positions(groups.get(key)![0]!.row.x))
		const chosen = chooseRows(groups, roomOf, { stay: steady !== undefined, lanes })
		if (!chosen) {
			return
		}
		const { key, rows } = chosen
		for (const live of rows) {
			live.busy = true
		}
		const all = [...groups.values()].flat()
		const waiting = all.filter(({ busy }) => !busy).length
		load = { active: all.length - waiting, waiting }
		const jobs = new Set(rows.map(({ job }) => job))
		const packed = rows.map((live) => ({ live, evaluations: live.plan.evaluate(live.row) }))
		const asked = packed.flatMap(({ evaluations }) => evaluations)
		const { denoiser } = rows[0]!.plan
		limits.saw(key, denoiser, asked[0]!)
		const filledTo = (size: number) => [...asked, ...Array<Evaluation>(size - asked.length).fill(asked.at(-1)!)]
		const isPlanned = (size: number) => denoiser.isPlanned(filledTo(size))
		const size = steady?.choose(key, asked.length, roomOf(key).most, isPlanned) ?? asked.length
		const planned = isPlanned(size)
		const own = { inferenceMs: 0 }
		const outputs = await attempt(jobs, () => callTime.run(own, () => predict(key, denoiser, filledTo(size))))
		for (const job of jobs) {
			job.inferenceMs += own.inferenceMs
		}
		if (outputs) {
			steady?.took(key, size, own.inferenceMs, planned)
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

		for (const live of rows) {
			live.busy = false
		}
		const left = (groups.get(key) ?? []).filter(({ job, plan, row }) => !job.over && row.k < plan.evaluations)
		left.length > 0 ? groups.set(key, left) : groups.delete(key)
		lastTick = performance.now() - began
		onTick({ size: asked.length, ms: lastTick, inferenceMs: own.inferenceMs })
		changed()
	}

	/** In one call, or where that does not get its memory in two halves, and so on; then no such call is tried for some time. */
	async function predict(key: string, denoiser: Denoiser, evaluations: readonly Evaluation[]): Promise<Tensor[]> {
		try {
			return await denoiser.predict(evaluations)
		} catch (error) {
			if (!isOutOfMemory(error) || evaluations.length === 1) {
				throw error
			}
			const half = Math.ceil(evaluations.length / 2)
			limits.fell(key, half)
			const first = await predict(key, denoiser, evaluations.slice(0, half))
			return [...first, ...(await predict(key, denoiser, evaluations.slice(half)))]
		}
	}

	function advance(live: Live, outputs: readonly Tensor[]): void {
		const { job, plan, row, picture } = live
		if (job.over) {
			return // Canceled during the call, or spoilt by another of its pictures.
		}
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
			chunks.push(finishing(live))
		} else if (row.x0 && job.task.wantsPartial?.(picture, row)) {
			const guess = { k: row.k, x0: row.x0 }
			row.unshown = [...(row.unshown ?? []), guess]
			chunks.push(showing(live, guess))
		}
	}

	async function onePart(queue: Chunk[]): Promise<void> {
		const chunk = queue.shift()
		if (!chunk) {
			return
		}
		const { job } = chunk
		const ended = job.over ? undefined : await attempt(new Set([job]), chunk.goOn)
		if (ended === false) {
			queue.push(chunk) // Smaller pictures need not wait for all its parts.
		} else if (ended && !job.over && job.rows.length === 0) {
			job.over = true
			job.settle.resolve({ inferenceMs: job.inferenceMs })
		}
		changed()
	}

	const finishing = (live: Live): Chunk =>
		chunkOf(live.job, async (pause) => {
			const { job, plan, row, picture } = live
			const image = await plan.finish(row, pause)
			assertFinite(image, `picture ${picture.n} as decoded`)
			if (job.over) {
				return
			}
			job.task.onPicture(picture, image, row)
			job.rows = job.rows.filter((other) => other !== live)
		})

	const showing = ({ job, plan, row, picture }: Live, guess: Guess): Chunk => {
		const { k, x0 } = guess
		const then = { ...row, k, x: x0, x0 }
		return chunkOf(job, async (pause) => {
			const image = await plan.finish(then, pause).catch(unlessNotFinite)
			if (!job.over) {
				if (image) {
					job.task.onPartial?.(picture, k, x0, image)
				}
				row.unshown = row.unshown?.filter((other) => other !== guess)
			}
		})
	}

	function fail(job: Job, reason: unknown): void {
		job.over = true
		job.settle.reject(reason)
	}

	/** Forgets the rows of jobs that have ended: cancels take effect here, before the next tick. */
	function dropOver(): void {
		for (const queue of [arrived, chunks]) {
			queue.splice(0, queue.length, ...queue.filter(({ job }) => !job.over))
		}
		for (const [key, group] of groups) {
			const left = group.filter(({ job }) => !job.over)
			left.length > 0 ? groups.set(key, left) : groups.delete(key)
		}
	}

	return {
		async develop(task) {
			task.signal.throwIfAborted()
			if (task.pictures.length === 0) {
				return { inferenceMs: 0 }
			}
			const settle = Promise.withResolvers<{ inferenceMs: number }>()
			const job: Job = { task, settle, rows: [], inferenceMs: 0, done: 0, total: 0, over: false }
			const cancel = () => fail(job, task.signal.reason)
			task.signal.addEventListener('abort', cancel, { once: true })
			jobs.set(task, job)
			arrived.push(preparing(job))
			changed()
			// Not within this call, whose caller may be one of the loop's own callbacks.
			running ??= Promise.resolve().then(loop)
			try {
				return await settle.promise
			} finally {
				task.signal.removeEventListener('abort', cancel)
				jobs.delete(task)
			}
		},
		rowsOf: (task) => jobs.get(task)?.rows.map(({ picture: { n }, row }) => ({ n, row })) ?? [],
		async halt() {
			halted = true
			changed()
			clearTimeout(idle)
			await running
		},
		get load() {
			return load
		}
	}
}

const chunkOf = (job: Job, work: (pause: Pause) => Promise<void>): Chunk => ({
	job,
	goOn: inParts((pause) => callTime.run(job, () => work(pause)))
})

/** A guess, of which a half-precision decoder may be unable to make a picture, where it can of what the guess becomes. */
function unlessNotFinite(error: unknown): undefined {
	if (!(error instanceof NotFinite)) {
		throw error
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
