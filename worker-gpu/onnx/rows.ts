import { writeHalves } from './half.ts'
import { type Tensor, volume } from './tensor.ts'

/** Rows, or a batch of them, in the type that a graph takes: floats, or the bits of halves. */
export interface Stackable<Numbers extends Float32Array | Uint16Array = Float32Array | Uint16Array> {
	readonly data: Numbers
	readonly dims: readonly number[]
}

/**
 * Puts rows of the same type and dimensions together: B × [d…] → [B, d…]. The result's memory is `buffer`'s where it is large enough.
 */
export function stack<Numbers extends Float32Array | Uint16Array>(
	rows: readonly Stackable<Numbers>[],
	buffer?: Numbers
): Stackable<Numbers> {
	const { data: first, dims } = rows[0]!
	const size = volume(dims)
	const length = rows.length * size
	const memory =
		buffer && buffer.length >= length ? buffer : (new (first.constructor as Float32ArrayConstructor)(length) as Numbers)
	const data = memory.subarray(0, length) as Numbers
	rows.forEach((row, i) => {
		data.set(row.data, i * size)
	})
	return { data, dims: [rows.length, ...dims] }
}

/** The same of floats, as the bits of halves. */
export function stackHalves(rows: readonly Tensor[], buffer?: Uint16Array): Stackable<Uint16Array> {
	const { dims } = rows[0]!
	const size = volume(dims)
	const length = rows.length * size
	const data = (buffer && buffer.length >= length ? buffer : new Uint16Array(length)).subarray(0, length)
	for (const [i, row] of rows.entries()) {
		writeHalves(row.data, data.subarray(i * size))
	}
	return { data, dims: [rows.length, ...dims] }
}

/** The rows of a batch: [B, d…] → B × [d…], views of the same memory. */
export function unstack({ data, dims }: Tensor): Tensor[] {
	const [count = 0, ...rowDims] = dims
	const size = volume(rowDims)
	return Array.from({ length: count }, (_, i) => ({ data: data.subarray(i * size, (i + 1) * size), dims: rowDims }))
}
