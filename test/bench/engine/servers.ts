import { createBatcher } from '../../../worker-gpu/engine/batcher.ts'
import { measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import type { Room } from '../../../worker-gpu/engine/schedule.ts'
import type { Evaluation } from '../../../worker-gpu/ldm/denoiser.ts'
import type { Plan, Row } from '../../../worker-gpu/ldm/plan.ts'
import { uniform } from '../../uniform.ts'
import type { Way } from './lanes.ts'

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

/** Serves what is asked for, with real runs of the networks. */
export type Server = Way<Served>
export interface Served {
	/** Each one's milliseconds from arrival to picture. */
	readonly latencies: number[]
	/** Of it all. */
	readonly end: number
	/** Steps a millisecond, for as long as there was work for eight at once. */
	readonly rate: number
}

/** Darkroom's. */
export const continuous =
	(room: Room, asked: readonly Asked[]): Server =>
	async ({ plan }, lane) => {
		const latencies: number[] = []
		const open = new Map<number, { done: number; developing: Promise<void> }>()
		let next = 0
		let [steps, rate] = [0, 0]
		const admit = () => {
			for (; next < asked.length && asked[next]!.arrival <= lane.now(); next++) {
				const i = next
				const one = asked[i]!
				const developing = batcher
					.develop({
						prepare: () => plan({ steps: one.steps }),
						pictures: [{ n: 0, seed: one.seed }],
						signal: never,
						onProgress(done) {
							steps += done - open.get(i)!.done
							open.get(i)!.done = done
						},
						onPicture() {
							latencies[i] = lane.now() - one.arrival
						}
					})
					.then(() => void open.delete(i))
				open.set(i, { done: 0, developing })
			}
		}
		const batcher = createBatcher({
			limits: { ...measuredLimits({ guessPositions: 0, measure: false }), of: () => room },
			// Between any two calls: where a message from another process would be read.
			onCall: admit,
			onTick() {
				admit()
				if (open.size >= 8) {
					rate = steps / lane.now()
				}
			}
		})
		while (next < asked.length || open.size > 0) {
			if (open.size === 0) {
				lane.jumpTo(asked[next]!.arrival)
				admit()
			}
			await Promise.race([...open.values()].map(({ developing }) => developing))
		}
		const end = lane.now()
		await batcher.halt()
		return { latencies, end, rate }
	}

/** First come, first served. */
export const oneAtATime =
	(asked: readonly Asked[]): Server =>
	async ({ plan }, lane) => {
		const latencies: number[] = []
		let [done, rate] = [0, 0]
		for (const { arrival, steps, seed } of asked) {
			lane.jumpTo(arrival)
			const { start, evaluate, advance, evaluations, denoiser, finish } = await plan({ steps })
			const row = start(seed)
			while (row.k < evaluations) {
				advance(row, await denoiser.predict(evaluate(row)))
			}
			await finish(row)
			latencies.push(lane.now() - arrival)
			done += steps
			rate = done / lane.now()
		}
		return { latencies, end: lane.now(), rate }
	}

/**
 * Whole requests in batches of up to eight, of whatever waits when the last batch is done: what "static" means since Orca (Yu et al., 2022, §2). A batch
 * stays what it is until its last row is done, as a batched pipeline call does, and nobody has a picture before. Kinder than such a call: steps may differ.
 *
 * @param shrinking kinder still: rows that are done take no more time
 */
export const staticBatches =
	(asked: readonly Asked[], shrinking = false): Server =>
	async ({ plan }, lane) => {
		const latencies: number[] = []
		let [done, rate] = [0, 0]
		for (let next = 0; next < asked.length; ) {
			lane.jumpTo(asked[next]!.arrival)
			const batch: Asked[] = []
			while (batch.length < 8 && next < asked.length && asked[next]!.arrival <= lane.now()) {
				batch.push(asked[next++]!)
			}
			const rows: { plan: Plan; row: Row; last: readonly Evaluation[] }[] = []
			for (const { steps, seed } of batch) {
				const made = await plan({ steps })
				const row = made.start(seed)
				rows.push({ plan: made, row, last: made.evaluate(row) })
			}
			const unfinished = () => rows.filter(({ plan, row }) => row.k < plan.evaluations)
			for (let live = unfinished(); live.length > 0; live = unfinished()) {
				for (const one of live) {
					one.last = one.plan.evaluate(one.row)
				}
				const inCall = shrinking ? live : rows
				const outputs = await rows[0]!.plan.denoiser.predict(inCall.flatMap(({ last }) => last))
				for (const [i, one] of inCall.entries()) {
					if (live.includes(one)) {
						one.plan.advance(one.row, outputs.slice(2 * i, 2 * i + 2))
					}
				}
			}
			for (const { plan, row } of rows) {
				await plan.finish(row)
			}
			latencies.push(...batch.map(({ arrival }) => lane.now() - arrival))
			done += batch.reduce((sum, { steps }) => sum + steps, 0)
			rate = done / lane.now()
		}
		return { latencies, end: lane.now(), rate }
	}

const never = new AbortController().signal
