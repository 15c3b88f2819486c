import { concatenate, type Tensor } from '../../onnx/tensor.ts'
import type { Pause } from '../pause.ts'
import type { Autoencoder } from './autoencoder.ts'

/** How much of a tile lies over the next one. */
const OVERLAP = 0.25

/**
 * Encodes and decodes pictures in overlapping tiles, so that the memory needed does not grow with the picture; as diffusers'
 * `AutoencoderKL.tiled_encode` and `tiled_decode` do it, number for number. Pictures no larger than a tile pass as they are.
 *
 * What is blended is what the network gives: KL's moments before anything is drawn; VQ's latents before they are quantised, and its
 * pixels after. VQ's codes are chosen position by position, so tiles and the whole decode the same codes.
 *
 * The seam: every value is a mean of those that tiles give there, so the result lies nowhere further from the whole than the
 * worst tile; and along a seam blending adds at most D / n to the step from one pixel to the next, D being how far two tiles differ where
 * they overlap and n the blended pixels, a quarter of a tile.
 *
 * @param size of a tile in pixels: diffusers takes the `sample_size` of the config. Where a quarter of it is no whole latents, the reference's picture has another size
 * than asked for; here a tile is smaller then, but never of fewer than four latents a side
 */
export function tiled(inner: Autoencoder, size: number): Autoencoder {
	const latents = Math.max(1, Math.floor((size * OVERLAP) / inner.factor)) / OVERLAP
	const pixels = latents * inner.factor
	return {
		factor: inner.factor,
		encode: (image, pause) => inTiles(image, pixels, latents, inner.encode, pause),
		decode: (z, pause) => inTiles(z, latents, pixels, inner.decode, pause)
	}
}

async function inTiles(
	whole: Tensor,
	size: number,
	sizeAfter: number,
	run: (tile: Tensor) => Promise<Tensor>,
	pause: Pause = async () => {}
): Promise<Tensor> {
	const [, height, width] = whole.dims as [number, number, number]
	if (height <= size && width <= size) {
		return run(whole)
	}
	const stride = size * (1 - OVERLAP)
	const extent = sizeAfter * OVERLAP
	const kept = sizeAfter - extent
	let above: Tensor[] = []
	const rows: Tensor[] = []
	for (let y = 0; y < height; y += stride) {
		const row: Tensor[] = []
		for (let x = 0; x < width; x += stride) {
			if (x + y > 0) {
				await pause()
			}
			// A copy: the next tiles blend with this one as it is after its own blending.
			const { data, dims } = await run(crop(whole, y, x, size, size))
			const tile = { data: data.slice(), dims }
			if (above.length > 0) {
				blend(above[row.length]!, tile, extent, 1)
			}
			if (row.length > 0) {
				blend(row.at(-1)!, tile, extent, 2)
			}
			row.push(tile)
		}
		rows.push(
			concatenate(
				row.map((tile) => crop(tile, 0, 0, kept, kept)),
				2
			)
		)
		above = row
	}
	return concatenate(rows, 1)
}

/** Fades from the end of `a` into the beginning of `b`, in place: diffusers' blend_v (axis 1) and blend_h (axis 2). */
function blend(a: Tensor, b: Tensor, extent: number, axis: 1 | 2): void {
	const n = Math.min(a.dims[axis]!, b.dims[axis]!, extent)
	const [channels, height, width] = b.dims as [number, number, number]
	const [rows, columns] = axis === 1 ? [n, width] : [height, n]
	const [aHeight, aWidth] = a.dims.slice(1) as [number, number]
	const [fromY, fromX] = axis === 1 ? [aHeight - n, 0] : [0, aWidth - n]
	for (let c = 0; c < channels; c++) {
		for (let y = 0; y < rows; y++) {
			for (let x = 0; x < columns; x++) {
				const weight = (axis === 1 ? y : x) / n
				const at = (c * height + y) * width + x
				b.data[at] = a.data[(c * aHeight + fromY + y) * aWidth + fromX + x]! * (1 - weight) + b.data[at]! * weight
			}
		}
	}
}

/** [C, H, W] → [C, ≤ height, ≤ width] */
function crop({ data, dims }: Tensor, top: number, left: number, height: number, width: number): Tensor {
	const [channels, fullHeight, fullWidth] = dims as [number, number, number]
	const h = Math.min(height, fullHeight - top)
	const w = Math.min(width, fullWidth - left)
	const cropped = new Float32Array(channels * h * w)
	for (let c = 0; c < channels; c++) {
		for (let y = 0; y < h; y++) {
			const from = (c * fullHeight + top + y) * fullWidth + left
			cropped.set(data.subarray(from, from + w), (c * h + y) * w)
		}
	}
	return { data: cropped, dims: [channels, h, w] }
}
