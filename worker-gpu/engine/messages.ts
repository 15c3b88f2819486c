import type { ResolvedRequest, Warning } from '../../shared/contract/generation.ts'
import type { Rasters } from '../image/raster.ts'
import type { Rgb } from '../image/rgb.ts'
import type { ProviderChoice } from '../onnx/provider.ts'

/** What the engine's process and its parent say to each other, structured-cloned over the channel that fork opens. */

export interface EngineConfig {
	readonly models: readonly string[]
	/** Holds a folder for each model, in the diffusers ONNX layout. */
	readonly modelsDir: string
	readonly provider: ProviderChoice
	/** Cores that ONNX Runtime may use; every one by default. */
	readonly threads?: number
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

export type ToEngine =
	| ({ readonly type: 'load' } & EngineConfig)
	| {
			readonly type: 'develop'
			readonly id: number
			readonly request: ResolvedRequest
			readonly inputs: Rasters
			readonly pictures: readonly number[]
	  }
	| { readonly type: 'cancel'; readonly id: number }

export type FromEngine =
	| { readonly type: 'ready'; readonly report: EngineReport }
	/** Nothing could be loaded; the process ends. */
	| { readonly type: 'unusable'; readonly error: ErrorMessage }
	| { readonly type: 'progress'; readonly id: number; readonly done: number; readonly total: number }
	| { readonly type: 'picture'; readonly id: number; readonly picture: DevelopedPicture }
	| { readonly type: 'done'; readonly id: number; readonly inferenceMs: number; readonly warnings: readonly Warning[] }
	| { readonly type: 'failed'; readonly id: number; readonly error: ErrorMessage }

/** Errors lose their names in structured clones. */
export interface ErrorMessage {
	readonly name: string
	readonly message: string
}
