import { type Tensor, volume } from './tensor.ts'

/**
 * Puts rows of the same dimensions together: B × [d…] → [B, d…]. The result's memory is `buffer`'s where it is large enough.
 */
export function stack(rows: readonly Tensor[], buffer?: Float32Array): Tensor {
	const { dims } = rows[0]!
	const size = volume(dims)
	const length = rows.length * size
	const data = buffer && buffer.length >= length ? buffer.subarray(0, length) : new Float32Array(length)
	rows.forEach((row, i) => {
		data.set(row.data, i * size)
	})
	return { data, dims: [rows.length, ...dims] }
}

/** The rows of a batch: [B, d…] → B × [d…], views of the same memory. */
export function unstack({ data, dims }: Tensor): Tensor[] {
	const [count = 0, ...rowDims] = dims
	const size = volume(rowDims)
	return Array.from({ length: count }, (_, i) => ({ data: data.subarray(i * size, (i + 1) * size), dims: rowDims }))
}
