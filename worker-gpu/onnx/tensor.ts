/** Float32 numbers in row-major order. One row of a batch, or a whole batch: the place says which. */
export interface Tensor {
	readonly data: Float32Array
	readonly dims: readonly number[]
}

/** How many numbers a tensor of these dimensions has. */
export const volume = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)

export const sameDims = (a: readonly number[], b: readonly number[]): boolean =>
	a.length === b.length && a.every((dim, i) => dim === b[i])

/** Joins tensors, one or more, that differ at most in that axis. */
export function concatenate(tensors: readonly Tensor[], axis: number): Tensor {
	const dims = tensors[0]!.dims.with(
		axis,
		tensors.reduce((sum, { dims }) => sum + dims[axis]!, 0)
	)
	const outer = volume(dims.slice(0, axis))
	const data = new Float32Array(volume(dims))
	let at = 0
	for (let o = 0; o < outer; o++) {
		for (const tensor of tensors) {
			const run = tensor.data.length / outer
			data.set(tensor.data.subarray(o * run, (o + 1) * run), at)
			at += run
		}
	}
	return { data, dims }
}
