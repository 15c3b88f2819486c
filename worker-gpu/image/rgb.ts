import type { Tensor } from '../onnx/tensor.ts'

export interface Rgb {
	/** height × width × 3 bytes. */
	readonly pixels: Uint8Array
	readonly width: number
	readonly height: number
}

/** [3, H, W] from −1 … 1 to bytes, rounded as diffusers' VaeImageProcessor does. */
export function toRgb({ data, dims }: Tensor): Rgb {
	const [channels, height, width] = dims as [number, number, number]
	if (dims.length !== 3 || channels !== 3) {
		throw new RangeError(`picture: expected [3, H, W], got [${dims.join(', ')}]`)
	}
	const area = height * width
	// A clamped array clamps, and rounds halves to even, as numpy does.
	const bytes = new Uint8ClampedArray(area * 3)
	for (let i = 0; i < area; i++) {
		for (let c = 0; c < 3; c++) {
			bytes[i * 3 + c] = Math.fround(Math.fround(data[c * area + i]! / 2 + 0.5) * 255)
		}
	}
	return { pixels: new Uint8Array(bytes.buffer), width, height }
}
