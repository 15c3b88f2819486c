import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { FIRST } from './call-bounds.ts'
import type { Developed, DevelopOptions, Engine, EngineOptions } from './engine.ts'
import { EngineClosed, EngineCrashed, EngineError, EngineHalted, EngineHung } from './errors.ts'
import { Growth } from './growth.ts'
import { mallocSettings, nodeOptions } from './heap.ts'
import type { Calling, DevelopedPicture, EngineConfig, EngineReport, FromEngine, ToEngine } from './messages.ts'

/** Where the demo models are. */
export const shippedModels = fileURLToPath(new URL('../models', import.meta.url))

/** Milliseconds before the last of seven attempts to start the process again, of which the first comes after 200. */
const LONGEST_WAIT = 12_800
/** Crashes in a row, without getting any further, after which a request runs alone; and after which, alone, it has failed. */
const CRASHES_TO_SUSPECT = 2
const CRASHES_TO_CONVICT = 3
/** Milliseconds that the engine has to end its tick, and hand out its rows; else their latest copies have to do. */
const HALT_MS = 30_000
/** Milliseconds between two looks at whether the engine still says anything. It does every second, but not in the midst of a call. */
const LISTEN_MS = 1_000

interface Work {
	readonly id: number
	readonly request: ResolvedRequest
	readonly options: DevelopOptions
	readonly expires: number | undefined
	readonly asked: readonly number[]
	readonly pictures: DevelopedPicture[]
	readonly settle: PromiseWithResolvers<Developed>
	rows: Uint8Array | undefined
	watched: boolean
	/** Whether the present process knows of it, and how many pictures were there when it was told. */
	sent: boolean
	drawnBefore: number
	/** Share of all its evaluations that are done. */
	done: number
	/** The most that was done at a crash, and the crashes in a row that found it no further. */
	reached: number
	crashes: number
	suspect: boolean
}

/** Resolves when every model is loaded; rejects where one cannot be. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
	const {
		log = () => {},
		onStats = () => {},
		onLost = () => {},
		mostGrowth,
		longestCall = Number.POSITIVE_INFINITY,
		longestLoad = FIRST,
		longestWait = LONGEST_WAIT,
		...given
	} = options
	let config: EngineConfig = { modelsDir: shippedModels, provider: 'auto', ...given }
	const works = new Map<number, Work>()
	let lastId = 0
	let closed = false
	let halted = false
	let child: ChildProcess
	let report: EngineReport
	/** What the process is at, and for how many milliseconds it has not said a word. */
	let calling: Calling
	let silent: number
	/** Why it was ended, where it was for that. */
	let hung: EngineHung | undefined
	/** Resolves with the rows of the process that was asked to halt. */
	let halting: PromiseWithResolvers<void> | undefined
	const growth = new Growth(mostGrowth)
	let up = false
	const listening = setInterval(listen, LISTEN_MS)
	// In the midst of a call it does not notice that its parent is gone.
	const endWithUs = () => child.kill('SIGKILL')
	process.on('exit', endWithUs)
	report = await start().catch((error) => {
		forget()
		throw error
	})
	// Slow pictures of a CPU are no stand-in for a GPU that is gone: other nodes have theirs.
	config = { ...config, provider: report.provider }
	up = true

	function forget(): void {
		clearInterval(listening)
		process.off('exit', endWithUs)
	}

	function start(): Promise<EngineReport> {
		const starting = Promise.withResolvers<EngineReport>()
		calling = { ids: [], within: undefined }
		silent = 0
		hung = undefined
		growth.begin()
		// What runs models needs no secrets of the node's.
		const { QUEUE_URL: _queue, C2PA_PRIVATE_KEY: _key, ...harmless } = process.env
		const starts = fork(new URL('process.ts', import.meta.url), {
			serialization: 'advanced',
			execArgv: nodeOptions,
			env: { ...mallocSettings, ...harmless }
		})
		child = starts
		starts.once('error', starting.reject)
		starts.once('exit', (code, signal) =>
			starting.reject(closed ? new EngineClosed() : (hung ?? new EngineCrashed(code, signal)))
		)
		starts.on('message', (message: FromEngine) => {
			silent = 0
			switch (message.type) {
				case 'ready':
					starts.once('exit', (code, signal) => ended(code, signal))
					starting.resolve(message.report)
					break
				case 'unusable':
					starting.reject(new EngineError(message.error))
					break
				default:
					receive(message)
			}
		})
		say({ type: 'load', ...config })
		return starting.promise
	}

	/** A process that had been ready is gone. */
	function ended(code: number | null, signal: NodeJS.Signals | null): void {
		up = false
		const recycled = halting !== undefined
		halting?.resolve()
		halting = undefined
		if (closed || halted) {
			return
		}
		for (const work of works.values()) {
			work.sent = false
		}
		if (!recycled) {
			const crash = hung ?? new EngineCrashed(code, signal)
			log(`engine: ${crash.message}; starting it again`)
			const { ids } = calling
			if (ids.length === 0) {
				// Nobody's work: a batch limit was being measured, which may have been too much.
				config = { ...config, measureLimits: false }
			}
			for (const id of ids) {
				blame(works.get(id), ids.length === 1, crash)
			}
		}
		void restart(recycled).catch(() => {}) // Closed meanwhile.
	}

	/**
	 * Its silence is counted in turns of a timer, not by a clock: a machine that slept has accused nobody. Where it is in no call it may be loading a
	 * graph, before it is ready as well as later.
	 */
	function listen(): void {
		silent += LISTEN_MS
		if (silent > (calling.within === undefined ? longestLoad : Math.min(calling.within, longestCall))) {
			hung = new EngineHung(silent)
			up = false
			child.kill('SIGKILL')
		}
	}

	function blame(work: Work | undefined, alone: boolean, crash: Error): void {
		if (!work) {
			return
		}
		work.crashes = work.done > work.reached ? 1 : work.crashes + 1
		work.reached = Math.max(work.reached, work.done)
		work.suspect = work.crashes >= CRASHES_TO_SUSPECT
		if (alone && work.crashes >= CRASHES_TO_CONVICT) {
			work.settle.reject(crash)
			works.delete(work.id)
		}
	}

	/** A crash at once after the start must not become a storm of starts, and what does not start any more must not keep work from other nodes. */
	async function restart(atOnce: boolean): Promise<void> {
		for (let wait = atOnce ? 0 : 200; ; wait = Math.max(wait * 2, 200)) {
			await delay(wait)
			try {
				if (closed) {
					throw new EngineClosed()
				}
				report = await start()
				log(`engine: back, loaded in ${(report.loadMs / 1000).toFixed(1)} s`)
				up = true
				dispatch()
				return
			} catch (error) {
				if (closed) {
					throw error
				}
				log(`engine: ${(error as Error).message}`)
				if (wait >= longestWait && !halted) {
					stop()
					onLost()
					return
				}
			}
		}
	}

	/** For good: whoever goes on does so elsewhere. */
	function stop(): void {
		halted = true
		settleAll(({ rows }) => new EngineHalted(rows))
	}

	/** Gives the process what it does not have yet: everything, or one suspect alone. */
	function dispatch(): void {
		if (!up || halted || halting) {
			return
		}
		const suspect = [...works.values()].find((work) => work.suspect)
		for (const work of suspect ? [suspect] : works.values()) {
			if (work.sent) {
				continue
			}
			work.sent = true
			work.drawnBefore = work.pictures.length
			const { id, request, options, expires, rows, watched } = work
			const drawn = new Set(work.pictures.map(({ n }) => n))
			say({
				type: 'develop',
				id,
				request,
				inputs: options.inputs ?? {},
				pictures: work.asked.filter((n) => !drawn.has(n)),
				priority: options.priority ?? 0,
				expiresIn: expires === undefined ? undefined : expires - performance.now(),
				rows,
				watched
			})
		}
	}

	function say(message: ToEngine): void {
		// A message that cannot be sent has lost its reader; the exit that follows settles the work. What could not be started has no channel at all.
		if (child.connected) {
			child.send(message, () => {})
		}
	}

	function receive(message: Exclude<FromEngine, { type: 'ready' | 'unusable' }>): void {
		switch (message.type) {
			case 'loaded':
				if (up) {
					log(`engine: ${message.model} loaded in ${(message.loadMs / 1000).toFixed(1)} s`)
				}
				return
			case 'stats':
				onStats(message.stats)
				watchMemory(message.stats.memory)
				return
			case 'calling':
				calling = message
				if (message.within === undefined) {
					growth.forgive()
				}
				return
			case 'halted':
				for (const { id, rows } of message.rows) {
					const work = works.get(id)
					if (work) {
						work.rows = rows
					}
				}
				halting?.resolve()
				return
		}
		const work = works.get(message.id)
		if (!work) {
			return // Canceled, and the engine had not heard of it yet.
		}
		switch (message.type) {
			case 'progress':
				progressed(work, message)
				break
			case 'ignored':
				log(`engine: begins anew: ${message.reason}`)
				break
			case 'partial':
				work.options.onPartial?.(message.partial)
				break
			case 'picture':
				work.pictures.push(message.picture)
				work.options.onPicture?.(message.picture)
				break
			case 'done':
				work.settle.resolve({
					pictures: work.pictures.sort((a, b) => a.n - b.n),
					inferenceMs: message.inferenceMs,
					warnings: message.warnings
				})
				break
			case 'failed':
				work.settle.reject(new EngineError(message.error))
				break
		}
	}

	/** The process counts what it was asked for last; the caller hears of everything. */
	function progressed(work: Work, message: Extract<FromEngine, { type: 'progress' }>): void {
		const { id, asked, drawnBefore, options } = work
		const each = message.total / (asked.length - drawnBefore)
		const total = each * asked.length
		const done = message.done + each * drawnBefore
		work.rows = message.rows
		work.done = done / total
		if (work.suspect && work.done > work.reached) {
			work.suspect = false
			dispatch()
		}
		const watch = (watched: boolean) => {
			if (watched !== work.watched) {
				work.watched = watched
				say({ type: 'watch', id, watched })
			}
		}
		options.onProgress?.({ done, total, rows: message.rows, previews: message.previews, watch })
	}

	/** A process that has grown gives way to a fresh one, between two ticks. */
	function watchMemory(bytes: number): void {
		if (calling.within === undefined || halting || halted || closed) {
			return
		}
		const grown = growth.exceeded(bytes)
		if (grown) {
			log(`engine: has grown ${grown}; starting a fresh one`)
			void standstill().then(() => kill())
		}
	}

	/** Every row as it is between two ticks, or its latest copy where the process cannot say. */
	async function standstill(): Promise<void> {
		halting ??= Promise.withResolvers<void>()
		say({ type: 'halt' })
		const late = setTimeout(halting.resolve, HALT_MS)
		await halting.promise
		clearTimeout(late)
	}

	async function kill(): Promise<void> {
		if (child.exitCode === null && child.signalCode === null) {
			const exited = new Promise((resolve) => child.once('exit', resolve))
			// A call of ONNX Runtime cannot be interrupted.
			child.kill('SIGKILL')
			await exited
		}
	}

	function settleAll(reason: (work: Work) => Error): void {
		for (const work of works.values()) {
			work.settle.reject(reason(work))
		}
		works.clear()
	}

	return {
		get report() {
			return report
		},
		get pid() {
			return child.pid
		},
		get healthy() {
			return up
		},
		async develop(request, options = {}) {
			const { signal, expiresIn, rows } = options
			signal?.throwIfAborted()
			if (closed || halted) {
				throw closed ? new EngineClosed() : new EngineHalted(rows)
			}
			const id = ++lastId
			const settle = Promise.withResolvers<Developed>()
			works.set(id, {
				id,
				request,
				options,
				expires: expiresIn === undefined ? undefined : performance.now() + expiresIn,
				asked: options.pictures ?? Array.from({ length: request.count }, (_, n) => n),
				pictures: [],
				settle,
				rows,
				watched: false,
				sent: false,
				drawnBefore: 0,
				done: 0,
				reached: 0,
				crashes: 0,
				suspect: false
			})
			const cancel = () => {
				say({ type: 'cancel', id })
				settle.reject(signal?.reason)
			}
			signal?.addEventListener('abort', cancel, { once: true })
			dispatch()
			try {
				return await settle.promise
			} finally {
				signal?.removeEventListener('abort', cancel)
				works.delete(id)
				dispatch() // Others may have waited for this suspect.
			}
		},
		async halt() {
			if (!halted) {
				if (up) {
					await standstill()
				}
				stop()
			}
		},
		async close() {
			closed = true
			forget()
			settleAll(() => new EngineClosed())
			await kill()
		}
	}
}
