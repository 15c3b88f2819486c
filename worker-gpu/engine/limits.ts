import type { Denoiser, Evaluation } from '../ldm/denoiser.ts'
import { isOutOfMemory } from '../onnx/out-of-memory.ts'

/** How many evaluations one call of the network may hold, for each shape of rows: the key of their group. */
export interface BatchLimits {
	/** @param positions h · w of the rows' latents, for a first guess */
	of(key: string, positions: number): number
	/** That rows of a shape exist; what they look like, so that they can be measured. */
	saw(key: string, denoiser: Denoiser, evaluation: Evaluation): void
	/** A larger call than `size` did not get its memory. */
	fell(key: string, size: number): void
	/** Makes one call that measures a shape which has not been measured; false when there is none. */
	measure(): Promise<boolean>
}

/** Keeps what was measured, over the lives of the process. */
export interface LimitStore {
	/** Undefined where it was not measured on this machine with this provider and model. */
	read(denoiser: Denoiser, key: string): Promise<number | undefined>
	write(denoiser: Denoiser, key: string, limit: number): Promise<void>
}

interface LimitOptions {
	/** Until it was measured: latent positions that a call may hold. */
	readonly guessPositions: number
	readonly store?: LimitStore | undefined
	readonly measure?: boolean
	/** No larger call is tried: 64 by default. */
	readonly most?: number
	/** Whether each call is made twice, and the second counts: where the first one of a shape takes longer. False by default. */
	readonly twice?: boolean
	readonly now?: () => number
}

/** A larger batch must gain so much throughput, or it only makes newcomers wait. */
const LEAST_GAIN = 1.05
/** Doublings in a row that gain less end the search: one may be a moment in which the machine was busy with something else. */
const MOST_MISSES = 2
/** Milliseconds: no call that is expected to take longer is made. */
const LONGEST_CALL = 1_000
/** The first call of a size allocates; the fastest of the others counts. */
const CALLS = 4

interface Shape {
	readonly denoiser: Denoiser
	readonly evaluation: Evaluation
	/** The batch that is being measured, and its calls so far. Milliseconds. */
	size: number
	times: number[]
	/** Calls of the best size so far, made in turn with those: a machine that was busier then than now would make any size look like a gain. */
	bestTimes: number[]
	/** The size that is worth it so far, and its evaluations a millisecond. */
	best: number
	rate: number
	misses: number
	recalled: boolean
}

export function measuredLimits({
	guessPositions,
	store,
	measure = true,
	most = 64,
	twice = false,
	now = () => performance.now()
}: LimitOptions): BatchLimits {
	const limits = new Map<string, number>()
	/** To be measured. */
	const shapes = new Map<string, Shape>()

	async function settle(key: string, { denoiser }: Shape, limit: number): Promise<void> {
		shapes.delete(key)
		limits.set(key, limit)
		await store?.write(denoiser, key, limit)
	}

	/** One call; settles the limit when it was the last one needed. */
	async function step(key: string, shape: Shape): Promise<void> {
		const { denoiser, evaluation, size } = shape
		const again = size > shape.best && shape.bestTimes.length < shape.times.length
		const rows = Array.from({ length: again ? shape.best : size }, () => evaluation)
		let began = now()
		try {
			if (twice) {
				await denoiser.predict(rows)
				began = now()
			}
			await denoiser.predict(rows)
		} catch (error) {
			if (!isOutOfMemory(error)) {
				shapes.delete(key) // The rows themselves will tell what is wrong.
				return
			}
			await settle(key, shape, size === 2 ? 1 : shape.best)
			return
		}
		const times = again ? shape.bestTimes : shape.times
		times.push(now() - began)
		if (shape.times.length < CALLS) {
			return
		}
		const fastest = Math.min(...shape.times.slice(1))
		shape.rate = Math.max(shape.rate, shape.best / Math.min(...shape.bestTimes))
		if (size / fastest >= shape.rate * LEAST_GAIN) {
			Object.assign(shape, { best: size, rate: size / fastest, misses: 0 })
		} else {
			shape.misses += 1
		}
		if (shape.misses === MOST_MISSES || size === most || fastest * 2 > LONGEST_CALL) {
			await settle(key, shape, shape.best)
		} else {
			Object.assign(shape, { size: size * 2, times: [], bestTimes: [] })
		}
	}

	return {
		of: (key, positions) => limits.get(key) ?? Math.max(1, Math.floor(guessPositions / positions)),
		saw(key, denoiser, evaluation) {
			if (measure && !limits.has(key) && !shapes.has(key)) {
				// From a guided row's two on: less makes no batch.
				shapes.set(key, { denoiser, evaluation, size: 2, times: [], bestTimes: [], best: 2, rate: 0, misses: 0, recalled: false })
			}
		},
		fell(key, size) {
			const shape = shapes.get(key)
			shapes.delete(key)
			limits.set(key, size)
			void (shape && store?.write(shape.denoiser, key, size))
		},
		async measure() {
			const [next] = shapes
			if (!next) {
				return false
			}
			const [key, shape] = next
			const kept = shape.recalled ? undefined : await store?.read(shape.denoiser, key)
			shape.recalled = true
			if (kept === undefined) {
				await step(key, shape)
			} else {
				shapes.delete(key)
				limits.set(key, kept)
			}
			return true
		}
	}
}
