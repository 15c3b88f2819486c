import type { InputName } from '../../../shared/inputs.ts'
import { sameDims, type Tensor } from '../../onnx/tensor.ts'
import type { Drawing } from '../drawing.ts'

/** An input of a drawing, as large as the picture, or a clear refusal. */
export function given(drawing: Drawing, name: InputName): Tensor {
	const tensor = drawing[name]
	const dims = [name === 'image' || name === 'control_image' ? 3 : 1, drawing.height, drawing.width]
	if (!tensor || !sameDims(tensor.dims, dims)) {
		throw new RangeError(`${name}: expected one of [${dims.join(', ')}], got ${tensor ? `[${tensor.dims.join(', ')}]` : 'none'}`)
	}
	return tensor
}

/** 1 from a half on, 0 below. */
export const binary = ({ data, dims }: Tensor): Tensor => ({ data: data.map((value) => (value < 0.5 ? 0 : 1)), dims })

/** [1, H, W] → [1, H / factor, W / factor]: the value at the top left of each square. */
export function shrunk({ data, dims }: Tensor, factor: number): Tensor {
	const [h, w] = [dims[1]! / factor, dims[2]! / factor]
	const small = Float32Array.from({ length: h * w }, (_, i) => data[(Math.floor(i / w) * dims[2]! + (i % w)) * factor]!)
	return { data: small, dims: [1, h, w] }
}

/** The image [C, H, W], grey (0) where the mask [1, H, W] is 1. */
export const without = ({ data, dims }: Tensor, mask: Tensor): Tensor => ({
	data: data.map((value, i) => value * (1 - mask.data[i % mask.data.length]!)),
	dims
})

/** `anew` where the mask [1, h, w] is 1, `known` elsewhere. */
export const blend = (known: Tensor, anew: Tensor, mask: Tensor): Tensor => ({
	data: known.data.map((value, i) => (mask.data[i % mask.data.length] === 1 ? anew.data[i]! : value)),
	dims: known.dims
})
