import type { Warning } from '../../shared/contract/generation.ts'
import type { InputName } from '../../shared/inputs.ts'
import type { Drawing } from '../ldm/drawing.ts'
import type { Tensor } from '../onnx/tensor.ts'

/** A decoded input: upright, as large as its task needs, rows from the top; it travels between processes. */
export interface Raster {
	/** 8 bits a sample: RGB of an image or of what steers, 255 in a mask where it is drawn anew; or one class number a pixel of a map. */
	readonly pixels: Uint8Array | Uint16Array
	readonly width: number
	readonly height: number
	/** What its client should know of it, though it can be drawn from. */
	readonly warning?: Warning
}
export type Rasters = Readonly<Partial<Record<InputName, Raster>>>

/** The inputs as pipelines take them; see Drawing. */
export function tensorsOf({ image, mask, semantic_map, control_image }: Rasters): Pick<Drawing, InputName> {
	return {
		...(image && { image: planes(image, (value) => 2 * Math.fround(value / 255) - 1) }),
		...(mask && { mask: planes(mask, (value) => value / 255) }),
		...(semantic_map && { semantic_map: planes(semantic_map, (value) => value) }),
		...(control_image && { control_image: planes(control_image, (value) => value / 255) })
	}
}

/** Interleaved samples as [C, H, W]. */
function planes({ pixels, width, height }: Raster, scale: (sample: number) => number): Tensor {
	const area = width * height
	const channels = pixels.length / area
	const data = new Float32Array(pixels.length)
	for (let c = 0; c < channels; c++) {
		for (let i = 0; i < area; i++) {
			data[c * area + i] = scale(pixels[i * channels + c]!)
		}
	}
	return { data, dims: [channels, height, width] }
}
