import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import type { Rasters } from '../image/raster.ts'
import type { Rgb } from '../image/rgb.ts'
import type { ProviderChoice } from '../onnx/provider.ts'
import type { Tick } from './batcher.ts'

/** What the engine's process and its parent say to each other, structured-cloned over the channel that fork opens. */

export interface EngineConfig {
	readonly models: readonly string[]
	/** Those of them that are loaded at the start, all by default; the others are when they are first asked for. */
	readonly loaded?: readonly string[]
	/** Holds a folder for each model, in the diffusers ONNX layout. */
	readonly modelsDir: string
	readonly provider: ProviderChoice
	/** Cores that ONNX Runtime may use; every one by default. */
	readonly threads?: number
	/** Where measured batch limits are kept; without it they are measured anew after each start. */
	readonly cacheDir?: string | undefined
	/** Whether they are measured at all, when there is nothing else to do. True by default. */
	readonly measureLimits?: boolean
	/** Whether it does on any provider what it does on CUDA. False by default. */
	readonly asOnCuda?: boolean
}

export interface EngineReport {
	readonly provider: 'cpu' | 'cuda'
	/** Why that provider. */
	readonly reason: string
	readonly threads: number
	readonly models: readonly string[]
	/** Milliseconds that loading took. */
	readonly loadMs: number
}

export interface DevelopedPicture extends Rgb {
	/** Its number within the request, from 0. */
	readonly n: number
	readonly seed: number
}

/** How a picture looks on its way. */
export interface EnginePreview extends Rgb {
	readonly n: number
	/** Evaluations done. */
	readonly step: number
}

/** A picture on its way, decoded in full. */
export interface EnginePartial extends EnginePreview {
	/** Which of the request's `partial_images` it is, from 0. */
	readonly index: number
}

/** What was counted since the last of these. */
export interface EngineStats {
	/** Rows in the last tick, and those that waited for a seat. */
	readonly active: number
	readonly waiting: number
	readonly ticks: readonly Tick[]
	/** Milliseconds inside ONNX Runtime, encoding and decoding too. */
	readonly inferenceMs: number
	/** Bytes resident. */
	readonly memory: number
}

export interface DevelopMessage {
	readonly type: 'develop'
	readonly id: number
	readonly request: ResolvedRequest
	readonly inputs: Rasters
	readonly pictures: readonly number[]
	readonly priority: number
	/** Milliseconds from now. */
	readonly expiresIn: number | undefined
	/** Rows to go on with, as `saved-rows.ts` writes them. What cannot be used is ignored. */
	readonly rows: Uint8Array | undefined
	/** Whether previews are wanted. */
	readonly watched: boolean
}

export type ToEngine =
	| ({ readonly type: 'load' } & EngineConfig)
	| DevelopMessage
	| { readonly type: 'cancel'; readonly id: number }
	| { readonly type: 'watch'; readonly id: number; readonly watched: boolean }
	/** Stop between two ticks, for good, and hand out every row. */
	| { readonly type: 'halt' }

export type FromEngine =
	| { readonly type: 'ready'; readonly report: EngineReport }
	/** A model is in memory from now on. */
	| { readonly type: 'loaded'; readonly model: string; readonly loadMs: number }
	/** A model could not be loaded; the process ends. */
	| { readonly type: 'unusable'; readonly error: ErrorMessage }
	| ({ readonly type: 'calling' } & Calling)
	| {
			readonly type: 'progress'
			readonly id: number
			readonly done: number
			readonly total: number
			readonly rows: Uint8Array
			readonly previews: readonly EnginePreview[]
	  }
	/** Rows that were to go on could not be used. */
	| { readonly type: 'ignored'; readonly id: number; readonly reason: string }
	| { readonly type: 'halted'; readonly rows: readonly SavedWork[] }
	| { readonly type: 'stats'; readonly stats: EngineStats }
	| { readonly type: 'partial'; readonly id: number; readonly partial: EnginePartial }
	| { readonly type: 'picture'; readonly id: number; readonly picture: DevelopedPicture }
	| { readonly type: 'done'; readonly id: number; readonly inferenceMs: number; readonly warnings: readonly Warning[] }
	| { readonly type: 'failed'; readonly id: number; readonly error: ErrorMessage }

/** The rows of one request. */
export interface SavedWork {
	readonly id: number
	readonly rows: Uint8Array
}

/** What comes next, told when that changes. */
export interface Calling {
	/** Whose call it is: should the process end in it, these are the suspects. */
	readonly ids: readonly number[]
	/** Milliseconds of silence after which it will never return; undefined where nobody knows, as while a model is loaded. */
	readonly within: number | undefined
}

/** Errors lose their names in structured clones. */
export interface ErrorMessage {
	readonly name: string
	readonly message: string
}
