import type { Denoiser } from '../../../worker-gpu/ldm/denoiser.ts'
import type { Model } from './model.ts'

/** A time of its own: it stands still while others have their turn, and what is waited for between two arrivals is jumped over. Milliseconds. */
export class Lane {
	/** Real time that it has had. */
	busy = 0
	#jumped = 0
	#since: number | undefined

	/** Resolves when it is this one's turn again. */
	turn: () => Promise<void>

	constructor(turn: (lane: Lane) => Promise<void>) {
		this.turn = () => turn(this)
	}

	now(): number {
		return this.#jumped + this.busy + (this.#since === undefined ? 0 : performance.now() - this.#since)
	}

	jumpTo(time: number): void {
		this.#jumped += Math.max(0, time - this.now())
	}

	stop(): void {
		this.busy += this.#since === undefined ? 0 : performance.now() - this.#since
		this.#since = undefined
	}

	go(): void {
		this.#since = performance.now()
	}
}

export type Way<T> = (model: Model, lane: Lane) => Promise<T>

/**
 * Several ways to do the same, call by call in turn, so that whatever else the machine does hits all alike. Before each call of the U-Net the turn
 * goes to whoever is furthest behind in its own time.
 */
export async function sideBySide<T>(model: Model, ways: readonly Way<T>[]): Promise<{ result: T; lane: Lane }[]> {
	const waiting: { lane: Lane; go: () => void }[] = []
	let left = ways.length
	const next = () => {
		if (left > 0 && waiting.length === left) {
			const { lane, go } = waiting.sort((a, b) => a.lane.now() - b.lane.now()).shift()!
			lane.go()
			go()
		}
	}
	const turn = (lane: Lane) => {
		lane.stop()
		return new Promise<void>((go) => {
			waiting.push({ lane, go })
			next()
		})
	}
	return Promise.all(
		ways.map(async (way) => {
			const lane = new Lane(turn)
			await lane.turn()
			const result = await way(inTurn(model, lane), lane)
			lane.stop()
			left -= 1
			next()
			return { result, lane }
		})
	)
}

function inTurn(model: Model, lane: Lane): Model {
	const wrapped = (denoiser: Denoiser): Denoiser => ({
		...denoiser,
		async predict(evaluations) {
			await lane.turn()
			return denoiser.predict(evaluations)
		}
	})
	return {
		...model,
		async plan(fields) {
			const plan = await model.plan(fields)
			return { ...plan, denoiser: wrapped(plan.denoiser) }
		}
	}
}
