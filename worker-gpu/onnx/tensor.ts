/** Float32 numbers in row-major order. One row of a batch, or a whole batch: the place says which. */
export interface Tensor {
	readonly data: Float32Array
	readonly dims: readonly number[]
}

/** How many numbers a tensor of these dimensions has. */
export const volume = (dims: readonly number[]): number => dims.reduce((product, dim) => product * dim, 1)

export const sameDims = (a: readonly number[], b: readonly number[]): boolean =>
	a.length === b.length && a.every((dim, i) => dim === b[i])
