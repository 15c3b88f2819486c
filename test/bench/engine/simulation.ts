import { chooseRows, type Turn } from '../../../worker-gpu/engine/schedule.ts'
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

/** The fastest of several calls: what else the machine does only adds. */
export async function measureCosts({ plan }: Model, limit: number, times: number): Promise<Costs> {
	const timed = async (run: () => Promise<unknown>) => {
		await run()
		const taken: number[] = []
		for (let i = 0; i < times; i++) {
			const began = performance.now()
			await run()
			taken.push(performance.now() - began)
		}
		return Math.min(...taken)
	}
	const { denoiser, evaluate, start, finish } = await plan({})
	const row = start(1)
	const pair = evaluate(row)
	const call: number[] = [0]
	for (let size = 2; size <= Math.max(limit, 16); size += 2) {
		const evaluations = Array.from({ length: size / 2 }, () => pair).flat()
		call[size] = await timed(() => denoiser.predict(evaluations))
	}
	return { call, prepare: await timed(() => plan({})), decode: await timed(() => finish(row)) }
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
		now += batch.length * (prepare + decode)
		for (let step = 0; step < Math.max(...batch.map(({ steps }) => steps)); step++) {
			now += call[2 * batch.filter(({ steps }) => steps > step).length]!
		}
		latencies.push(...batch.map(({ arrival }) => now - arrival))
	}
	return latencies
}

/** With the engine's own choice of rows. */
export const simulateContinuous =
	(limit: number): Simulation =>
	({ call, prepare, decode }, asked) => {
		const latencies: number[] = []
		let rows: { i: number; turn: Turn; evaluations: number; left: number }[] = []
		const decoding: number[] = []
		let now = 0
		for (let next = 0; next < asked.length || rows.length > 0 || decoding.length > 0; ) {
			if (rows.length === 0 && decoding.length === 0) {
				now = Math.max(now, asked[next]!.arrival)
			}
			for (let taken = 0; next < asked.length && asked[next]!.arrival <= now; next++) {
				if (rows.length > 0 && taken > call[limit]! / 4) {
					break
				}
				taken += prepare
				now += prepare
				const turn: Turn = { priority: 0, deadline: Number.POSITIVE_INFINITY, arrival: next, waited: 0, served: 0, begun: false }
				rows.push({ i: next, turn, evaluations: 2, left: asked[next]!.steps })
			}
			const chosen = chooseRows(new Map(rows.length > 0 ? [['', rows]] : []), () => limit)?.rows ?? []
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
