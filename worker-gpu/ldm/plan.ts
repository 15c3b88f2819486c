import type { Warning } from '../../shared/contract/generation.ts'
import type { Tensor } from '../onnx/tensor.ts'
import type { Denoiser, Evaluation } from './denoiser.ts'
import type { Drawing } from './drawing.ts'
import type { Generator } from './noise.ts'
import type { Pause } from './pause.ts'

/**
 * How to develop the pictures of one request: immutable, rebuilt from the request at any time. A pipeline makes it (see
 * pipelines/); conditioning, guidance, masks and samplers are closures in there, and the batcher sees only this.
 *
 * One plan serves every picture of its request; what differs from picture to picture is the row.
 */
export interface Plan {
	/** The network that its evaluations are for. */
	readonly denoiser: Denoiser
	/** Evaluations steps from start to end; guidance doubles the network's work, not this number. */
	readonly evaluations: number
	/** What the client should know of its drawing: a prompt that was cut off. */
	readonly warnings?: readonly Warning[]
	start(seed: number): Row
	/** What to ask the network next: one evaluation, or two with guidance. Their shapes stay the same from start to end. */
	evaluate(row: Row): readonly Evaluation[]
	/** Takes the network's answers to `evaluate`, in its order, and moves the row one evaluation on. */
	advance(row: Row, outputs: readonly Tensor[]): void
	/** The picture of a row that has made all its evaluations: [3, H, W], −1 to 1, not clamped. Pauses between tiles. */
	finish(row: Row, pause?: Pause): Promise<Tensor>
}

/** The state of one picture between two evaluations: mutable, and but for `given` the checkpoint. */
export interface Row {
	/** The latent: [C, h, w]. */
	x: Tensor
	/** Evaluations done. */
	k: number
	/** What the sampler remembers of earlier evaluations. */
	history: unknown
	/** The sampler's latest guess of the finished latent, for previews; its dims are those of `x`. */
	x0?: Tensor
	/** Guesses that are to be shown in full, and have not been yet. */
	unshown?: readonly Guess[] | undefined
	/** Draws this picture's noise, and no other's. */
	readonly noise: Generator
	/** What was drawn at the start and stays, as the latent of an image: no part of a checkpoint, for `start` draws it again. */
	readonly given: readonly Tensor[]
}

/** A sampler's guess of the finished latent after `k` evaluations. */
export interface Guess {
	readonly k: number
	readonly x0: Tensor
}

/** One function from a request to a plan. `parts` is what the pipeline needs of a model. Pauses before each network that encodes something. */
export type Pipeline<Parts> = (drawing: Drawing, parts: Parts, pause?: Pause) => Promise<Plan>
