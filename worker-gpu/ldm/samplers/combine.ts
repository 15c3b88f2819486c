import type { Tensor } from '../../onnx/tensor.ts'

/** A coefficient and what it stands before. */
export type Term = readonly [coefficient: number, tensor: Tensor]

/** Σ c_i x_i, summed in double precision. Every sampler is such sums with coefficients of its own. */
export function combine(...terms: readonly [Term, ...Term[]]): Tensor {
	const { dims } = terms[0][1]
	const sum = new Float64Array(terms[0][1].data.length)
	for (const [coefficient, { data }] of terms) {
		for (let i = 0; i < sum.length; i++) {
			sum[i]! += coefficient * data[i]!
		}
	}
	return { data: new Float32Array(sum), dims }
}

/** x_t = √ᾱ_t x_0 + √(1−ᾱ_t) ε: Ho et al., 2020, eq. 4. */
export const noised = (x0: Tensor, e: Tensor, alphaBar: number): Tensor =>
	combine([Math.sqrt(alphaBar), x0], [Math.sqrt(1 - alphaBar), e])
