import { fork } from 'node:child_process'
import { FIRST } from './call-bounds.ts'
import type { EnginePatience } from './engine.ts'
import { EngineCrashed, EngineError, EngineHung } from './errors.ts'
import { mallocSettings, nodeOptions } from './heap.ts'
import type { Calling, EngineConfig, EngineReport, FromEngine, SavedWork, ToEngine } from './messages.ts'

/** Milliseconds that it has to end its tick, and hand out its rows. */
const HALT_MS = 30_000
/** Milliseconds between two looks at whether it still says anything. It does every second, but not in the midst of a call. */
const LISTEN_MS = 1_000

/** One process of the engine, from its start to its end: process.ts, seen from its parent. */
export interface EngineChild {
	readonly pid: number | undefined
	/** Resolves when its models are loaded. */
	readonly ready: Promise<EngineReport>
	/** Resolves with how it ended, whenever that was. */
	readonly ended: Promise<Error>
	readonly calling: Calling
	/** Whether it was asked to halt. */
	readonly halting: boolean
	say(message: ToEngine): void
	/** Its rows as they are between two ticks; none where it cannot say. */
	halt(): Promise<readonly SavedWork[]>
	kill(): void
}

/** What it says of its work. */
export type Said = Exclude<FromEngine, { type: 'ready' | 'unusable' | 'halted' }>

export function startChild(
	config: EngineConfig,
	{ longestCall = Number.POSITIVE_INFINITY, longestLoad = FIRST }: EnginePatience,
	receive: (message: Said) => void
): EngineChild {
	// What runs models needs no secrets of the node's.
	const { QUEUE_URL: _queue, C2PA_PRIVATE_KEY: _key, ...harmless } = process.env
	const child = fork(new URL('process.ts', import.meta.url), {
		serialization: 'advanced',
		execArgv: nodeOptions,
		env: { ...mallocSettings, ...harmless }
	})
	const ready = Promise.withResolvers<EngineReport>()
	const ended = Promise.withResolvers<Error>()
	const halted = Promise.withResolvers<readonly SavedWork[]>()
	let halting = false
	let calling: Calling = { ids: [], within: undefined }
	/** For how many milliseconds it has not said a word. */
	let silent = 0
	let hung: EngineHung | undefined
	// A call of ONNX Runtime cannot be interrupted.
	const kill = () => child.kill('SIGKILL')
	// In the midst of one it does not notice that we are gone.
	process.on('exit', kill)
	// Counted in turns of a timer, not by a clock: a machine that slept has accused nobody. Where it is in no call it may be loading a graph.
	const listening = setInterval(() => {
		silent += LISTEN_MS
		if (silent > (calling.within === undefined ? longestLoad : Math.min(calling.within, longestCall))) {
			hung = new EngineHung(silent)
			kill()
		}
	}, LISTEN_MS)

	function say(message: ToEngine): void {
		// A message that cannot be sent has lost its reader; the end that follows settles the work. What could not be started has no channel at all.
		if (child.connected) {
			child.send(message, () => {})
		}
	}

	function end(reason: Error): void {
		clearInterval(listening)
		process.off('exit', kill)
		ready.reject(reason)
		ended.resolve(reason)
		halted.resolve([])
	}

	child.on('exit', (code, signal) => end(hung ?? new EngineCrashed(code, signal)))
	child.on('error', (error) => child.pid === undefined && end(error))
	child.on('message', (message: FromEngine) => {
		silent = 0
		switch (message.type) {
			case 'ready':
				ready.resolve(message.report)
				return
			case 'unusable':
				ready.reject(new EngineError(message.error))
				return
			case 'halted':
				halted.resolve(message.rows)
				return
			case 'calling':
				calling = message
		}
		receive(message)
	})
	say({ type: 'load', ...config })
	return {
		pid: child.pid,
		ready: ready.promise,
		ended: ended.promise,
		get calling() {
			return calling
		},
		get halting() {
			return halting
		},
		say,
		async halt() {
			halting = true
			say({ type: 'halt' })
			const late = setTimeout(() => halted.resolve([]), HALT_MS)
			try {
				return await halted.promise
			} finally {
				clearTimeout(late)
			}
		},
		kill
	}
}
