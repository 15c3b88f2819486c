import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import type { Rasters } from '../image/raster.ts'
import type { DevelopedPicture, EngineConfig, EnginePartial, EnginePreview, EngineReport, EngineStats } from './messages.ts'

/** How long its process may be silent before it counts as one that hangs. */
export interface EnginePatience {
	/** Milliseconds that a call may take; as long as is plausible by default: see call-bounds.ts. */
	readonly longestCall?: number | undefined
	/** Milliseconds that it may take to load a graph; as long as a first call may by default. */
	readonly longestLoad?: number | undefined
}

export interface EngineOptions extends Partial<EngineConfig>, EnginePatience {
	readonly models: readonly string[]
	/** Told when the process has crashed and when it is back. */
	readonly log?: (line: string) => void
	/** Every second, and when the process has ended. */
	readonly onStats?: (stats: EngineStats) => void
	/** Its process ended and could not be started again, time and again: work in flight and to come rejects with `EngineHalted`. */
	readonly onLost?: () => void
	/** Bytes; see growth.ts. */
	readonly mostGrowth?: number
	/** Milliseconds before the last attempt to start its process again; before each of the others half as many as before the next. */
	readonly longestWait?: number
}

/**
 * Develops pictures in a process of its own; see process.ts. It is started again when it crashes, when a call does not return, and when its memory
 * has grown; rows then go on from their latest copy, half a second old at most. A request in whose calls it crashes or hangs again and again is run
 * alone, and ends alone.
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
	/** Whether it can be asked at once, and is not just being started again. */
	readonly healthy: boolean
	/**
	 * Pictures in their order, raw RGB. Rejects with `EngineCrashed` or `EngineHung` (its own doing), with an `EngineError` named after what went wrong in
	 * there (`NotFinite`), with `EngineHalted`, or with the signal's reason. While the engine is being started again, it waits.
	 */
	develop(request: ResolvedRequest, options?: DevelopOptions): Promise<Developed>
	/** Stops between two ticks, for good: work in flight rejects with `EngineHalted` and the rows that it had got to. */
	halt(): Promise<void>
	/** Ends the process at once; work in flight rejects with `EngineClosed`. */
	close(): Promise<void>
}

export interface DevelopOptions {
	/** Numbers of the pictures to develop; all of the request's by default. */
	readonly pictures?: readonly number[]
	/** What the request's inputs are, decoded. */
	readonly inputs?: Rasters
	/** Higher goes first; 0 by default. */
	readonly priority?: number | undefined
	/** Milliseconds from now until it expires; of equal priority, what expires sooner goes first. Nothing ends by it. */
	readonly expiresIn?: number | undefined
	/** Rows of an earlier attempt to go on with; begins anew where they are damaged or others'. */
	readonly rows?: Uint8Array | undefined
	/** Evaluations done and asked for, summed over the pictures: at the start, then at most every 500 ms. */
	readonly onProgress?: (progress: Progress) => void
	/** Each of the request's partial images, before its picture; once more, the same, where it goes on after a crash. */
	readonly onPartial?: (partial: EnginePartial) => void
	/** Each picture as soon as it is there. */
	readonly onPicture?: (picture: DevelopedPicture) => void
	readonly signal?: AbortSignal
}

interface Progress {
	readonly done: number
	readonly total: number
	/** From which the unfinished pictures can go on, here or elsewhere. */
	readonly rows: Uint8Array
	/** While they are wanted: see `watch`. */
	readonly previews: readonly EnginePreview[]
	/** Asks for previews from now on, or for no more. */
	watch(watched: boolean): void
}

export interface Developed {
	readonly pictures: DevelopedPicture[]
	/** Time inside ONNX Runtime of every call that the request took part in, batches counted whole. */
	readonly inferenceMs: number
	/** What the client should know though nothing failed. */
	readonly warnings: readonly Warning[]
}
