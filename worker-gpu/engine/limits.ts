import type { Denoiser, Evaluation } from '../ldm/denoiser.ts'
import { isOutOfMemory } from '../onnx/out-of-memory.ts'
import type { Room } from './schedule.ts'

/** How many evaluations one call of the network may hold, for each shape of rows: the key of their group. */
export interface BatchLimits {
	/** @param positions h · w of the rows' latents, for a first guess */
	of(key: string, positions: number): Room
	/** That rows of a shape exist; what they look like, so that they can be measured. Told before each of their calls. */
	saw(key: string, denoiser: Denoiser, evaluation: Evaluation): void
	/** A larger call than `size` did not get its memory: none is tried for some time. Not kept: it may be others that have the memory now. */
	fell(key: string, size: number): void
	/** Makes one call that measures a shape which has not been measured; false when there is none. */
	measure(): Promise<boolean>
}

/** Keeps what was measured, over the lives of the process. */
export interface LimitStore {
	/** Undefined where it was not measured on this machine with this provider and model. */
	read(denoiser: Denoiser, key: string): Promise<Room | undefined>
	write(denoiser: Denoiser, key: string, room: Room): Promise<void>
}

interface LimitOptions {
	/** Until it was measured: latent positions that a call may hold. */
	readonly guessPositions: number
	readonly store?: LimitStore | undefined
	readonly measure?: boolean
	/** No larger call is tried: 64 by default, or 128 with `plansShapes`, which are as many sizes as a graph has sessions (onnx/session-per-shape.ts). */
	readonly most?: number
	/**
	 * Whether the first call of a size takes longer: then it is made once more, all turns of one size come before those of the other, and what sizes calls will have
	 * is planned before anyone waits for it. Where it is so two calls take turns, and `light` is what is worth one. False by default.
	 */
	readonly plansShapes?: boolean
	readonly now?: () => number
}

/** A larger batch must gain so much throughput, or it only makes newcomers wait. */
const LEAST_GAIN = 1.05
/** Two calls in turn spare what the engine does between two: 3 to 30 % of a call on an H200. So a doubling must gain more than so much to be worth one call. */
export const ONE_CALL_GAIN = 1.1
/** Doublings in a row that gain less end the search: one may be a moment in which the machine was busy with something else. */
const MOST_MISSES = 2
/** Milliseconds: no call that is expected to take longer is made. */
const LONGEST_CALL = 1_000
/** Turns of a comparison, of which the fastest counts. There are more of them while the two fastest disagree. */
const TURNS = 4
const MOST_TURNS = 12
/** Milliseconds until a size is tried again that did not get its memory; twice as many each time that it does not get it then. */
const FIRST_RETRY = 600_000
/** Shapes that wait to be measured, each with a row of its conditioning: half a megabyte and more, and a node that is never idle would gather them all. */
const MOST_SHAPES = 64
/** By so much: what differs more is no measure of a gain of 5 %. */
const AGREEMENT = 1.05

interface Shape {
	readonly denoiser: Denoiser
	readonly evaluation: Evaluation
	/**
	 * The size that is worth it so far, and the one that is compared with it, in turns: one call of `size`, and as many of `best` as make the same
	 * evaluations. Else a machine that is busy with something else would favour short calls, some of which it always leaves alone.
	 */
	best: number
	size: number
	/** The smallest of which the doublings from there on have gained little over two calls. */
	worthOne: number
	/** Milliseconds of each turn. */
	turns: number[]
	bestTurns: number[]
	/** Of each call of `best` in the present turn. */
	calls: number[]
	misses: number
	/** Whether all that was compared was timed well enough to be kept. */
	sure: boolean
	recalled: boolean
}

export function measuredLimits({
	guessPositions,
	store,
	measure = true,
	plansShapes = false,
	most = plansShapes ? 128 : 64,
	now = () => performance.now()
}: LimitOptions): BatchLimits {
	const limits = new Map<string, Room>()
	/** What is tried of those that were too much, from when on, and for how many milliseconds. */
	const fallen = new Map<string, { room: Room; since: number; wait: number }>()
	/** To be measured. */
	const shapes = new Map<string, Shape>()
	/** Sizes of calls that are still to be planned. */
	let unplanned: { denoiser: Denoiser; evaluation: Evaluation; size: number }[] = []
	/** The key and size of the latest call of a measurement. */
	let latest = ''

	function know(key: string, { denoiser, evaluation }: Shape, room: Room): void {
		limits.set(key, room)
		for (let size = 1; plansShapes && size < 2 * room.most; size *= 2) {
			unplanned.push({ denoiser, evaluation, size: Math.min(size, room.most) })
		}
	}

	/** One call; the larger sizes last, which are wanted the most when memory is short. */
	async function planNext(): Promise<boolean> {
		const next = unplanned.shift()
		if (next) {
			await next.denoiser.predict(alike(next.evaluation, next.size)).catch(() => {
				unplanned = [] // The rows themselves will tell what is wrong.
			})
		}
		return next !== undefined
	}

	/** What a busy machine let nobody measure serves for now, and is measured again after the next start. */
	async function settle(key: string, shape: Shape): Promise<void> {
		const { denoiser, best, worthOne, misses, sure } = shape
		// Half of it does nearly as well where the last doublings gained less and less, and nothing else ended the search.
		const half = misses === MOST_MISSES ? best / 2 : best
		const room = { most: best, light: plansShapes ? Math.min(worthOne, best) : half }
		shapes.delete(key)
		know(key, shape, room)
		if (sure) {
			await store?.write(denoiser, key, room)
		}
	}

	/** Milliseconds of a call; where the first of a size takes longer, one is made before. */
	async function timed(key: string, denoiser: Denoiser, rows: readonly Evaluation[]): Promise<number> {
		if (plansShapes && latest !== `${key} ${rows.length}`) {
			await denoiser.predict(rows)
			latest = `${key} ${rows.length}`
		}
		const began = now()
		await denoiser.predict(rows)
		return now() - began
	}

	/** One call; settles the limit when it was the last one needed. */
	async function step(key: string, shape: Shape): Promise<void> {
		const { denoiser, evaluation, best, size, turns, bestTurns, calls } = shape
		if (size > most) {
			return settle(key, shape)
		}
		const larger = plansShapes ? bestTurns.length === TURNS : bestTurns.length > turns.length
		if (larger && fastest(calls) * (size / best) > LONGEST_CALL) {
			return settle(key, { ...shape, sure: shape.sure && agree(calls) })
		}
		let ms: number
		try {
			ms = await timed(key, denoiser, alike(evaluation, larger ? size : best))
		} catch (error) {
			if (isOutOfMemory(error)) {
				return settle(key, larger ? shape : { ...shape, best: best / 2 })
			}
			shapes.delete(key) // The rows themselves will tell what is wrong.
			return
		}
		if (larger) {
			turns.push(ms)
			return compare(key, shape)
		}
		shape.calls = calls.length === size / best ? [ms] : [...calls, ms]
		if (shape.calls.length === size / best) {
			bestTurns.push(sum(shape.calls))
		}
	}

	/** When there are turns enough, `size` is worth it or is not, and the next one's turn comes; settles the limit where none is left. */
	async function compare(key: string, shape: Shape): Promise<void> {
		const { best, size, turns, bestTurns } = shape
		const steady = agree(turns) && agree(bestTurns)
		if (turns.length < (steady ? TURNS : MOST_TURNS)) {
			return
		}
		const gain = fastest(bestTurns) / fastest(turns)
		const gains = gain >= LEAST_GAIN
		const misses = gains ? 0 : shape.misses + 1
		const worthOne = gain < ONE_CALL_GAIN ? shape.worthOne : size
		const next = { best: gains ? size : best, size: size * 2, worthOne, misses, sure: shape.sure && steady }
		Object.assign(shape, next, { turns: [], bestTurns: [], calls: [] })
		if (misses === MOST_MISSES) {
			await settle(key, shape)
		}
	}

	return {
		of(key, positions) {
			const guess = Math.max(1, Math.floor(guessPositions / positions))
			const low = fallen.get(key)
			return low && now() - low.since < low.wait ? low.room : (limits.get(key) ?? { most: guess, light: guess })
		},
		saw(key, denoiser, evaluation) {
			if (measure && shapes.size < MOST_SHAPES && !limits.has(key) && !fallen.has(key) && !shapes.has(key)) {
				// From a guided row's two on: less makes no batch.
				const sizes = { best: 2, size: 4, worthOne: 2, turns: [], bestTurns: [], calls: [] }
				shapes.set(key, { denoiser, evaluation, ...sizes, misses: 0, sure: true, recalled: false })
			}
		},
		fell(key, size) {
			shapes.delete(key)
			const before = fallen.get(key)
			const again = before !== undefined && now() - before.since >= before.wait
			const wait = (before?.wait ?? FIRST_RETRY) * (again ? 2 : 1)
			fallen.set(key, { room: { most: size, light: size }, since: now(), wait })
		},
		async measure() {
			const [next] = shapes
			if (!next) {
				return planNext()
			}
			const [key, shape] = next
			const kept = shape.recalled ? undefined : await store?.read(shape.denoiser, key)
			shape.recalled = true
			if (kept === undefined) {
				await step(key, shape)
			} else {
				shapes.delete(key)
				know(key, shape, kept)
			}
			return true
		}
	}
}

/** Each of a latent of its own: what guidance's branches share is computed once. */
const alike = (evaluation: Evaluation, length: number): Evaluation[] =>
	Array.from({ length }, () => ({ ...evaluation, x: { ...evaluation.x } }))

const fastest = (times: readonly number[]) => Math.min(...times)
/** The two fastest do. */
function agree(times: readonly number[]): boolean {
	const [first, second] = times.toSorted((a, b) => a - b)
	return second !== undefined && second <= first! * AGREEMENT
}
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0)
