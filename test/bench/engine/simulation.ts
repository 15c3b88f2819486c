import { type Candidate, chooseRows, type Room, type Turn } from '../../../worker-gpu/engine/schedule.ts'
import type { Model } from './model.ts'
import { type Asked, meanSteps } from './servers.ts'

/** Milliseconds that the networks take here. */
export interface Costs {
	/** Of a call of the U-Net, by its evaluations. */
	readonly call: readonly number[]
	/** To read a prompt, and to decode a picture. */
	readonly prepare: number
	readonly decode: number
}

/** The fastest of several calls, the sizes in turn: what else the machine does only adds. */
export async function measureCosts({ plan }: Model, limit: number, times: number): Promise<Costs> {
	const { denoiser, evaluate, start, finish } = await plan({})
	const row = start(1)
	const pairs = Array.from({ length: Math.max(limit, 16) / 2 }, (_, i) => i + 1)
	const runs: [number[], () => Promise<unknown>][] = [
		[[], () => plan({})],
		[[], () => finish(row)],
		...pairs.map((count): [number[], () => Promise<unknown>] => {
			const evaluations = Array.from({ length: count }, (_, i) => evaluate(start(i))).flat()
			return [[], () => denoiser.predict(evaluations)]
		})
	]
	for (let i = -1; i < times; i++) {
		for (const [taken, run] of runs) {
			const began = performance.now()
			await run()
			if (i >= 0) {
				taken.push(performance.now() - began) // The first one allocates.
			}
		}
	}
	const [prepare, decode, ...calls] = runs.map(([taken]) => Math.min(...taken))
	return { call: [0, ...calls.flatMap((ms) => [0, ms])], prepare: prepare!, decode: decode! }
}

export const lone = ({ call, prepare, decode }: Costs, steps = meanSteps): number => prepare + steps * call[2]! + decode

/** How long each one waits when time is only counted: for loads and lengths that would take hours. */
export type Simulation = (costs: Costs, asked: readonly Asked[]) => number[]

export const simulateOneAtATime: Simulation = (costs, asked) => {
	let now = 0
	return asked.map(({ arrival, steps }) => {
		now = Math.max(now, arrival) + lone(costs, steps)
		return now - arrival
	})
}

export const simulateStatic: Simulation = ({ call, prepare, decode }, asked) => {
	const latencies: number[] = []
	let now = 0
	for (let next = 0; next < asked.length; ) {
		now = Math.max(now, asked[next]!.arrival)
		const batch: Asked[] = []
		while (batch.length < 8 && next < asked.length && asked[next]!.arrival <= now) {
			batch.push(asked[next++]!)
		}
		now += batch.length * (prepare + decode) + Math.max(...batch.map(({ steps }) => steps)) * call[2 * batch.length]!
		latencies.push(...batch.map(({ arrival }) => now - arrival))
	}
	return latencies
}

/** With the engine's own choice of rows. */
export const simulateContinuous =
	(room: Room): Simulation =>
	({ call, prepare, decode }, asked) => {
		const latencies: number[] = []
		let rows: (Candidate & { i: number; left: number })[] = []
		const decoding: number[] = []
		let now = 0
		for (let next = 0; next < asked.length || rows.length > 0 || decoding.length > 0; ) {
			if (rows.length === 0 && decoding.length === 0) {
				now = Math.max(now, asked[next]!.arrival)
			}
			for (let taken = 0; next < asked.length && asked[next]!.arrival <= now; next++) {
				if (rows.length > 0 && taken > call[room.most]! / 4) {
					break
				}
				taken += prepare
				now += prepare
				const turn: Turn = { priority: 0, deadline: Number.POSITIVE_INFINITY, arrival: next, age: 0, waited: 0, begun: false }
				rows.push({ i: next, turn, evaluations: 2, left: asked[next]!.steps })
			}
			const chosen = chooseRows(new Map(rows.length > 0 ? [['', rows]] : []), () => room)?.rows ?? []
			now += call[2 * chosen.length]!
			for (const row of chosen) {
				row.left -= 1
				if (row.left === 0) {
					decoding.push(row.i)
				}
			}
			rows = rows.filter(({ left }) => left > 0)
			const done = decoding.shift()
			if (done !== undefined) {
				now += decode
				latencies[done] = now - asked[done]!.arrival
			}
		}
		return latencies
	}
