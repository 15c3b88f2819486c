import type { Tensor } from '../onnx/tensor.ts'

/** Classifier-free guidance (Ho and Salimans, 2022, eq. 6, in diffusers' scale): e = e∅ + s (e_y − e∅). */
export function guide(unconditional: Tensor, conditional: Tensor, scale: number): Tensor {
	const e0 = unconditional.data
	const ey = conditional.data
	const data = new Float32Array(e0.length)
	for (let i = 0; i < data.length; i++) {
		data[i] = e0[i]! + scale * (ey[i]! - e0[i]!)
	}
	return { data, dims: unconditional.dims }
}
