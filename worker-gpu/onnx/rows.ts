import { writeHalves } from './half.ts'
import { type Tensor, volume } from './tensor.ts'

/** Rows, or a batch of them: floats, or the bits of halves. */
export interface Stackable {
	readonly data: Float32Array | Uint16Array
	readonly dims: readonly number[]
}

/** Puts numbers one after the other, as what `dims` says. */
export type Stack = (pieces: readonly Stackable[], dims: readonly number[]) => Stackable

/**
 * Stacks as floats, or as the bits of halves, in memory that is the result's until it stacks again: then what stands in its place already, as most of what rows are shown does from
 * one step to the next, is not written again. Tensors do not change, so the same one has the same numbers. The memory is shared: another thread reads it where it is.
 */
export function stacking(half: boolean): Stack {
	const allocate = (length: number) =>
		half ? new Uint16Array(new SharedArrayBuffer(2 * length)) : new Float32Array(new SharedArrayBuffer(4 * length))
	let memory = allocate(0)
	/** By their places. */
	let written = new Map<number, Stackable>()
	return (pieces, dims) => {
		const length = volume(dims)
		if (memory.length < length) {
			memory = allocate(length)
			written.clear()
		}
		const before = written
		written = new Map() // Also where one of the pieces does not fit.
		const now = new Map<number, Stackable>()
		let at = 0
		for (const piece of pieces) {
			if (before.get(at) !== piece) {
				write(piece, memory.subarray(at, length))
			}
			now.set(at, piece)
			at += piece.data.length
		}
		written = now
		return { data: memory.subarray(0, length), dims }
	}
}

function write({ data }: Stackable, memory: Stackable['data']): void {
	if (memory instanceof Uint16Array && data instanceof Float32Array) {
		writeHalves(data, memory)
	} else {
		memory.set(data)
	}
}

/** The rows of a batch: [B, d…] → B × [d…], views of the same memory. */
export function unstack({ data, dims }: Tensor): Tensor[] {
	const [count = 0, ...rowDims] = dims
	const size = volume(rowDims)
	return Array.from({ length: count }, (_, i) => ({ data: data.subarray(i * size, (i + 1) * size), dims: rowDims }))
}
