import type { Stopwatch } from '../onnx/part.ts'
import type { Batcher, Tick } from './batcher.ts'
import { callBounds } from './call-bounds.ts'
import type { Calling, FromEngine } from './messages.ts'

interface SignsOfLife {
	/** Of each call of a network. */
	readonly stopwatch: Stopwatch
	ticked(tick: Tick): void
	/** Whose call comes next: the ids of requests. */
	tellCalls(ids: readonly number[]): void
	/** What was counted since the last time; of one that is in the same call still, nothing. */
	tellStats(load: Batcher['load']): void
}

/** By what the engine's process says of itself, its parent tells one that works from one that hangs, and knows whose fault it may be if it ends. */
export function signsOfLife(send: (message: FromEngine) => void): SignsOfLife {
	const bounds = callBounds()
	let calling: Calling = { ids: [], within: undefined }
	let ticks: Tick[] = []
	/** Calls that have begun, and that are over. */
	let begun = 0
	let ended = 0
	/** At the last stats: the calls that had begun, and the stopwatch's milliseconds. */
	let seen = 0
	let told = 0

	function tell(change: Partial<Calling>): void {
		const next = { ...calling, ...change }
		// Each graph that is being loaded is a sign of life.
		if (next.within === undefined || next.within !== calling.within || next.ids.join() !== calling.ids.join()) {
			calling = next
			send({ type: 'calling', ...calling })
		}
	}

	const stopwatch: Stopwatch = {
		milliseconds: 0,
		begins(call) {
			begun += call === undefined ? 0 : 1
			tell({ within: call === undefined ? undefined : bounds.of(call) })
		},
		ended(call, ms) {
			ended += 1
			if (ms !== undefined) {
				bounds.took(call, ms)
			}
		}
	}

	return {
		stopwatch,
		ticked: (tick) => void ticks.push(tick),
		tellCalls: (ids) => tell({ ids }),
		tellStats({ active, waiting }) {
			const same = begun > ended && begun === seen
			seen = begun
			// One that does not return may be in a thread of its own, and its parent counts silence.
			if (same) {
				return
			}
			const { milliseconds } = stopwatch
			const memory = process.memoryUsage.rss()
			send({ type: 'stats', stats: { active, waiting, ticks, inferenceMs: milliseconds - told, memory } })
			told = milliseconds
			ticks = []
		}
	}
}
