import { type ChildProcess, fork } from 'node:child_process'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import type { Rasters } from '../image/raster.ts'
import { abortable } from '../wait.ts'
import { EngineClosed, EngineCrashed, EngineError } from './errors.ts'
import type { DevelopedPicture, EngineConfig, EngineReport, FromEngine, ToEngine } from './messages.ts'

/** Where the demo models are. */
export const shippedModels = fileURLToPath(new URL('../models', import.meta.url))

export interface EngineOptions extends Partial<EngineConfig> {
	readonly models: readonly string[]
	/** Told when the process has crashed and when it is back. */
	readonly log?: (line: string) => void
}

/**
 * Develops pictures in a process of its own; see process.ts. It is started again when it crashes.
 *
 * ```ts
 * const engine = await startEngine({ models: ['scenes'] })
 * const { pictures, inferenceMs } = await engine.develop(request)
 * await engine.close()
 * ```
 */
export interface Engine {
	/** Of the last successful start. */
	readonly report: EngineReport
	readonly pid: number | undefined
	/**
	 * Pictures in their order, raw RGB. Rejects with `EngineCrashed` (ask again), with an `EngineError` named after what went
	 * wrong in there (`NotFinite`), or with the signal's reason. While the engine is being started again, it waits.
	 */
	develop(request: ResolvedRequest, options?: DevelopOptions): Promise<Developed>
	/** Ends the process at once; work in flight rejects with `EngineClosed`. */
	close(): Promise<void>
}

export interface DevelopOptions {
	/** Numbers of the pictures to develop; all of the request's by default. */
	readonly pictures?: readonly number[]
	/** What the request's inputs are, decoded. */
	readonly inputs?: Rasters
	/** Evaluations done and asked for, summed over the pictures: at the start, then at most every 500 ms. */
	readonly onProgress?: (done: number, total: number) => void
	/** Each picture as soon as it is there. */
	readonly onPicture?: (picture: DevelopedPicture) => void
	readonly signal?: AbortSignal
}

export interface Developed {
	readonly pictures: DevelopedPicture[]
	/** Time inside ONNX Runtime of every call that the request took part in, batches counted whole. */
	readonly inferenceMs: number
	/** What the client should know though nothing failed. */
	readonly warnings: readonly Warning[]
}

interface InFlight {
	readonly options: DevelopOptions
	readonly pictures: DevelopedPicture[]
	readonly settle: PromiseWithResolvers<Developed>
}

/** Resolves when every model is loaded; rejects where one cannot be. */
export async function startEngine(options: EngineOptions): Promise<Engine> {
	const { log = () => {}, ...given } = options
	const config: EngineConfig = { modelsDir: shippedModels, provider: 'auto', ...given }
	const inFlight = new Map<number, InFlight>()
	let lastId = 0
	let closed = false
	let child: ChildProcess
	let report: EngineReport
	/** Resolves while the engine can be asked. */
	let ready = start()
	report = await ready

	function start(): Promise<EngineReport> {
		const starting = Promise.withResolvers<EngineReport>()
		child = fork(new URL('process.ts', import.meta.url), { serialization: 'advanced', execArgv: ['--max-semi-space-size=4'] })
		child.once('error', starting.reject)
		child.once('exit', (code, signal) => {
			const reason = closed ? new EngineClosed() : new EngineCrashed(code, signal)
			starting.reject(reason)
			for (const { settle } of inFlight.values()) {
				settle.reject(reason)
			}
			inFlight.clear()
		})
		child.on('message', (message: FromEngine) => {
			switch (message.type) {
				case 'ready':
					child.once('exit', (code, signal) => {
						if (!closed) {
							log(`engine: ${new EngineCrashed(code, signal).message}; starting it again`)
							ready = restart()
							ready.catch(() => {})
						}
					})
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

	/** A crash at once after the start must not become a storm of starts. */
	async function restart(): Promise<EngineReport> {
		for (let wait = 200; ; wait = Math.min(wait * 2, 10_000)) {
			await delay(wait)
			try {
				if (closed) {
					throw new EngineClosed()
				}
				report = await start()
				log(`engine: back, loaded in ${(report.loadMs / 1000).toFixed(1)} s`)
				return report
			} catch (error) {
				if (closed) {
					throw error
				}
				log(`engine: ${(error as Error).message}`)
			}
		}
	}

	function say(message: ToEngine): void {
		// A message that cannot be sent has lost its reader; the exit that follows settles the work.
		child.send(message, () => {})
	}

	function receive(message: Extract<FromEngine, { id: number }>): void {
		const work = inFlight.get(message.id)
		if (!work) {
			return // Canceled, and the engine had not heard of it yet.
		}
		switch (message.type) {
			case 'progress':
				work.options.onProgress?.(message.done, message.total)
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

	return {
		get report() {
			return report
		},
		get pid() {
			return child.pid
		},
		async develop(request, develop = {}) {
			const { signal } = develop
			await abortable(ready, signal)
			signal?.throwIfAborted()
			const id = ++lastId
			const settle = Promise.withResolvers<Developed>()
			inFlight.set(id, { options: develop, pictures: [], settle })
			const cancel = () => {
				say({ type: 'cancel', id })
				settle.reject(signal?.reason)
			}
			signal?.addEventListener('abort', cancel, { once: true })
			const pictures = develop.pictures ?? Array.from({ length: request.count }, (_, n) => n)
			say({ type: 'develop', id, request, inputs: develop.inputs ?? {}, pictures })
			try {
				return await settle.promise
			} finally {
				signal?.removeEventListener('abort', cancel)
				inFlight.delete(id)
			}
		},
		async close() {
			closed = true
			if (child.exitCode === null && child.signalCode === null) {
				const exited = new Promise((resolve) => child.once('exit', resolve))
				// Nothing in there is worth saving, and a call of ONNX Runtime cannot be interrupted.
				child.kill('SIGKILL')
				await exited
			}
		}
	}
}
