import { createBatcher } from '../../../worker-gpu/engine/batcher.ts'
import { measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import type { Row } from '../../../worker-gpu/ldm/plan.ts'
import { type Model, uniform } from './model.ts'

/** One picture that someone asks for. Milliseconds. */
export interface Asked {
	readonly arrival: number
	readonly steps: number
	readonly seed: number
}

/** Poisson arrivals with so many milliseconds between two of them on average; 8 to 50 steps. */
export function arrivals(count: number, between: number, seed: number): Asked[] {
	const draw = uniform(seed)
	let arrival = 0
	return Array.from({ length: count }, (_, i) => {
		arrival += -Math.log(1 - draw()) * between
		return { arrival, steps: 8 + Math.floor(draw() * 43), seed: i }
	})
}

export const meanSteps = 29

/** Real time while there is work; what is waited for between two arrivals is jumped over. */
class Clock {
	#ahead = -performance.now()

	now(): number {
		return performance.now() + this.#ahead
	}

	jumpTo(time: number): void {
		this.#ahead += Math.max(0, time - this.now())
	}
}

/** Serves what is asked for, with real runs of the networks; gives each one's milliseconds from arrival to picture, and the time of it all. */
export type Server = (model: Model, asked: readonly Asked[]) => Promise<Served>
export interface Served {
	readonly latencies: number[]
	readonly end: number
}

/** Darkroom's. */
export const continuous =
	(limit: number): Server =>
	async ({ plan, stopwatch }, asked) => {
		const clock = new Clock()
		const latencies: number[] = []
		const open = new Set<Promise<void>>()
		let next = 0
		const admit = () => {
			for (; next < asked.length && asked[next]!.arrival <= clock.now(); next++) {
				const { arrival, steps, seed } = asked[next]!
				const i = next
				const developing = batcher
					.develop({
						prepare: () => plan({ steps }),
						pictures: [{ n: 0, seed }],
						signal: never,
						onProgress() {},
						onPicture() {
							latencies[i] = clock.now() - arrival
						}
					})
					.then(() => void open.delete(developing))
				open.add(developing)
			}
		}
		const batcher = createBatcher({
			limits: measuredLimits({ guessPositions: limit * 16 ** 2, measure: false }),
			inferenceMs: () => stopwatch.milliseconds,
			// Between any two calls: where a message from another process would be read.
			onCall: admit,
			onTick: admit
		})
		while (next < asked.length || open.size > 0) {
			if (open.size === 0) {
				clock.jumpTo(asked[next]!.arrival)
				admit()
			}
			await Promise.race(open)
		}
		return { latencies, end: clock.now() }
	}

/** First come, first served. */
export const oneAtATime: Server = async ({ plan }, asked) => {
	const clock = new Clock()
	const latencies: number[] = []
	for (const { arrival, steps, seed } of asked) {
		clock.jumpTo(arrival)
		const { start, evaluate, advance, evaluations, denoiser, finish } = await plan({ steps })
		const row = start(seed)
		while (row.k < evaluations) {
			advance(row, await denoiser.predict(evaluate(row)))
		}
		await finish(row)
		latencies.push(clock.now() - arrival)
	}
	return { latencies, end: clock.now() }
}

/**
 * Whole requests in batches of up to eight, of whatever waits when the last batch is done; it ends with its last row. Kinder than a batched
 * pipeline call: steps may differ, and rows that are done take no more time.
 */
export const staticBatches: Server = async ({ plan }, asked) => {
	const clock = new Clock()
	const latencies: number[] = []
	for (let next = 0; next < asked.length; ) {
		clock.jumpTo(asked[next]!.arrival)
		const batch: Asked[] = []
		while (batch.length < 8 && next < asked.length && asked[next]!.arrival <= clock.now()) {
			batch.push(asked[next++]!)
		}
		const rows: { plan: Awaited<ReturnType<Model['plan']>>; row: Row }[] = []
		for (const { steps, seed } of batch) {
			const made = await plan({ steps })
			rows.push({ plan: made, row: made.start(seed) })
		}
		for (let live = rows; live.length > 0; live = live.filter(({ plan, row }) => row.k < plan.evaluations)) {
			const pairs = live.map(({ plan, row }) => plan.evaluate(row))
			const outputs = await live[0]!.plan.denoiser.predict(pairs.flat())
			for (const [i, { plan, row }] of live.entries()) {
				plan.advance(row, outputs.slice(i * pairs[i]!.length, (i + 1) * pairs[i]!.length))
			}
		}
		for (const { plan, row } of rows) {
			await plan.finish(row)
		}
		latencies.push(...batch.map(({ arrival }) => clock.now() - arrival))
	}
	return { latencies, end: clock.now() }
}

const never = new AbortController().signal
