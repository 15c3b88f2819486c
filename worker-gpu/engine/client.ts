import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { type EngineChild, type Said, startChild } from './child.ts'
import type { Developed, DevelopOptions, Engine, EngineOptions } from './engine.ts'
import { EngineClosed, EngineError, EngineHalted } from './errors.ts'
import { Growth } from './growth.ts'
import type { DevelopedPicture, EngineConfig, EngineReport } from './messages.ts'

/** Where the demo models are. */
export const shippedModels = fileURLToPath(new URL('../models', import.meta.url))

/** Milliseconds before the last of seven attempts to start the process again, of which the first comes after 200. */
const LONGEST_WAIT = 12_800
/** Crashes in a row, without getting any further, after which a request runs alone; and after which, alone, it has failed. */
const CRASHES_TO_SUSPECT = 2
const CRASHES_TO_CONVICT = 3

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
		longestCall,
		longestLoad,
		longestWait = LONGEST_WAIT,
		...given
	} = options
	let config: EngineConfig = { modelsDir: shippedModels, provider: 'auto', ...given }
	const works = new Map<number, Work>()
	let lastId = 0
	let closed = false
	let halted = false
	let child: EngineChild
	let report: EngineReport
	const growth = new Growth(mostGrowth)
	let up = false
	await start()

	async function start(): Promise<void> {
		growth.begin()
		child = startChild(config, { longestCall, longestLoad }, receive)
		report = await child.ready
		// Slow pictures of a CPU are no stand-in for a GPU that is gone: other nodes have theirs.
		config = { ...config, provider: report.provider }
		up = true
		void child.ended.then(ended)
	}

	/** A process that had been ready is gone. */
	function ended(reason: Error): void {
		up = false
		onStats({ active: 0, waiting: 0, ticks: [], inferenceMs: 0, memory: 0 })
		if (closed || halted) {
			return
		}
		for (const work of works.values()) {
			work.sent = false
		}
		const { calling, halting: recycled } = child
		if (!recycled) {
			log(`engine: ${reason.message}; starting it again`)
			if (calling.ids.length === 0) {
				// Nobody's work: a batch limit was being measured, which may have been too much.
				config = { ...config, measureLimits: false }
			}
			for (const id of calling.ids) {
				blame(works.get(id), calling.ids.length === 1, reason)
			}
		}
		void restart(recycled)
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
			if (closed) {
				return
			}
			try {
				await start()
				log(`engine: back, loaded in ${(report.loadMs / 1000).toFixed(1)} s`)
				dispatch()
				return
			} catch (error) {
				if (closed) {
					return
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
		if (!up || halted || child.halting) {
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
			child.say({
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

	function receive(message: Said): void {
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
				if (message.within === undefined) {
					growth.forgive()
				}
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
	function progressed(work: Work, message: Extract<Said, { type: 'progress' }>): void {
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
				child.say({ type: 'watch', id, watched })
			}
		}
		options.onProgress?.({ done, total, rows: message.rows, previews: message.previews, watch })
	}

	/** A process that has grown gives way to a fresh one, between two ticks. */
	function watchMemory(bytes: number): void {
		if (child.calling.within === undefined || child.halting || halted || closed) {
			return
		}
		const grown = growth.exceeded(bytes)
		if (grown) {
			log(`engine: has grown ${grown}; starting a fresh one`)
			void standstill().then(child.kill)
		}
	}

	/** Every row as it is between two ticks, or its latest copy where the process cannot say. */
	async function standstill(): Promise<void> {
		for (const { id, rows } of await child.halt()) {
			const work = works.get(id)
			if (work) {
				work.rows = rows
			}
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
				child.say({ type: 'cancel', id })
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
			settleAll(() => new EngineClosed())
			child.kill()
			await child.ended
		}
	}
}
