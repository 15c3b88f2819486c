import type { Tensor } from '../../onnx/tensor.ts'

/** A coefficient and what it stands before. */
export type Term = readonly [coefficient: number, tensor: Tensor]

/** Σ c_i x_i, summed in double precision. Every sampler is such sums with coefficients of its own. */
export function combine(...terms: readonly [Term, ...Term[]]): Tensor {
	const [[a, { data: x, dims }], [b, { data: y }] = [0, terms[0][1]]] = terms
	if (terms.length > 2) {
		return { data: new Float32Array(sumOf(terms, x.length)), dims }
	}
	// Most have two, and between two calls of the network this is most of the work.
	const { length } = x
	const data = new Float32Array(length)
	for (let i = 0; i < length; i++) {
		data[i] = a * x[i]! + b * y[i]!
	}
	return { data, dims }
}

function sumOf(terms: readonly Term[], length: number): Float64Array {
	const sum = new Float64Array(length)
	for (const [coefficient, { data }] of terms) {
		for (let i = 0; i < length; i++) {
			sum[i]! += coefficient * data[i]!
		}
	}
	return sum
}
