import { setTimeout as sleep } from 'node:timers/promises'
import { createBatcher, type Task } from '../../../worker-gpu/engine/batcher.ts'
import { measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import { PATIENCE } from '../../../worker-gpu/engine/schedule.ts'
import { uniform } from '../../uniform.ts'
import { quantile } from '../statistics.ts'
import type { Model } from './model.ts'

/**
 * How long newcomers wait, in ticks: below the limit from the moment that one comes (so the tick that is under way counts) to the start of the
 * call with its first evaluation; at the limit from when it was taken in. Three guided rows are at work all the while; below the limit there is a
 * seat for the newcomer, at the limit there is none.
 */
export async function joining(model: Model, newcomers: number): Promise<{ below: number; at: number; bound: number }> {
	const busy = 3
	return {
		below: quantile(await waits(model, newcomers, busy, 2 * busy + 2), 0.99),
		at: quantile(await waits(model, Math.ceil(newcomers / 8), busy, 2 * busy), 0.99),
		// Its patience, and a tick in which those who have waited longer sit down: with three seats, all of them at once.
		bound: PATIENCE + 1
	}
}

async function waits({ plan }: Model, newcomers: number, busy: number, limit: number): Promise<number[]> {
	const draw = uniform(7)
	const waited: number[] = []
	let ticks = 0
	const batcher = createBatcher({
		limits: measuredLimits({ guessPositions: limit * 16 ** 2, measure: false }),
		onTick() {
			ticks += 1
		}
	})
	const develop = (seed: number, steps: number, signal: AbortSignal, onProgress: Task['onProgress'] = () => {}) => {
		const task: Task = { prepare: () => plan({ steps }), pictures: [{ n: 0, seed }], signal, onProgress, onPicture() {} }
		return batcher.develop(task)
	}
	const stop = new AbortController()
	const begun = Array.from({ length: busy }, () => Promise.withResolvers<void>())
	const endless = begun.map(async ({ resolve }, seed) => {
		while (!stop.signal.aborted) {
			await develop(seed, 1000, stop.signal, (done) => done > 0 && resolve()).catch(() => {})
		}
	})
	await Promise.all(begun.map(({ promise }) => promise))
	for (let i = 0; i < newcomers; i++) {
		// Anywhere within a tick, as far as a blocked thread lets it.
		await sleep(draw() * 30)
		const came = ticks
		let taken: number | undefined
		await develop(1000 + i, 1, new AbortController().signal, (done) => {
			taken ??= ticks
			if (done > 0) {
				// Progress is told before its tick is counted.
				waited.push(ticks - (limit > 2 * busy ? came : taken))
			}
		})
	}
	stop.abort()
	await Promise.all(endless)
	return waited
}
