import type { Tensor } from '../onnx/tensor.ts'
import type { Inputs } from './denoiser.ts'
import type { Drawing } from './drawing.ts'

/** What the network is asked with, and what is made of its answers. */
export interface Guidance {
	/** The condition alone, or with what is to be compared with it. */
	readonly branches: readonly Inputs[]
	/** One answer from those to the branches, in their order. */
	merge(outputs: readonly Tensor[]): Tensor
}

export const unguided = (cond: Inputs): Guidance => ({ branches: [cond], merge: ([output]) => output! })

/**
 * Classifier-free guidance (Ho and Salimans, 2022, eq. 6, in diffusers' scale): e = e∅ + s (e_y − e∅).
 *
 * @param rescale φ of Lin et al., 2024, eq. 15 and 16: φ of the way back to the spread that e_y has
 */
export const guided = (unconditional: Inputs, cond: Inputs, scale: number, rescale: number): Guidance => ({
	branches: [unconditional, cond],
	merge([first, second]) {
		const data = extrapolate(first!.data, second!.data, scale)
		return { data: broughtBack(data, second!.data, rescale), dims: first!.dims }
	}
})

/** A scale other than 1 guides away from `none`: what a network is told that was also trained without `what`. */
export function guidedFrom(none: Inputs | undefined, cond: Inputs, drawing: Drawing, what: string): Guidance {
	const { guidance, guidance_rescale } = drawing
	if (guidance > 1 && !none) {
		throw new RangeError(`guidance: expected 1, for the model was never trained without ${what}, got ${guidance}`)
	}
	return none && guidance !== 1 ? guided(none, cond, guidance, guidance_rescale) : unguided(cond)
}

/**
 * Guidance by a text and by an image that the network is shown (Brooks et al., 2023, eq. 3): e = e∅∅ + s_I (e_I∅ − e∅∅) + s_T (e_IT − e_I∅). The branches are
 * those of both, of the image alone, and of neither.
 */
export const guidedByBoth = (told: Inputs, untold: Inputs, scale: number, imageScale: number, rescale: number): Guidance => ({
	branches: [told, untold, untold],
	merge([both, image, neither]) {
		const data = extrapolate(neither!.data, image!.data, imageScale)
		const text = extrapolate(image!.data, both!.data, scale)
		for (let i = 0; i < data.length; i++) {
			data[i]! += text[i]! - image!.data[i]!
		}
		return { data: broughtBack(data, both!.data, rescale), dims: both!.dims }
	}
})

/**
 * What tells a network that was distilled with guidance how strong to guide (Meng et al., 2023): sines and cosines of 1000 w at frequencies from 1 down to 1/10000, in
 * float32 as the reference, for 1000 w is many turns.
 *
 * @param w the scale, less 1
 */
export function guidanceEmbedding(w: number, length: number): Tensor {
	const f = Math.fround
	const half = Math.floor(length / 2)
	const step = f(Math.log(10_000) / (half - 1))
	const angles = Array.from({ length: half }, (_, i) => f(f(f(w) * 1000) * f(Math.exp(f(i * -step)))))
	const data = new Float32Array(length)
	data.set([...angles.map(Math.sin), ...angles.map(Math.cos)])
	return { data, dims: [length] }
}

// Loops stand in functions of their own: V8 compiles one that every picture's closure has anew for each of them, and runs it slowly until then.

function extrapolate(e0: Float32Array, ey: Float32Array, scale: number): Float32Array {
	const { length } = e0
	const data = new Float32Array(length)
	for (let i = 0; i < length; i++) {
		data[i] = e0[i]! + scale * (ey[i]! - e0[i]!)
	}
	return data
}

/** Lin et al., 2024, eq. 15 and 16: φ of the way back to the spread that `ey` has. In place. */
function broughtBack(data: Float32Array, ey: Float32Array, rescale: number): Float32Array {
	if (rescale === 0) {
		return data
	}
	const factor = rescale * (deviation(ey) / deviation(data)) + 1 - rescale
	for (let i = 0; i < data.length; i++) {
		data[i]! *= factor
	}
	return data
}

function deviation(values: Float32Array): number {
	const mean = values.reduce((sum, value) => sum + value, 0) / values.length
	return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
}
