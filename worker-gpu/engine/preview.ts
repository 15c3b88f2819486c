import type { Facts } from '../ldm/facts.ts'
import type { Tensor } from '../onnx/tensor.ts'

/**
 * A picture the size of its latent without the first stage: each pixel is a linear map of the latent's channels there, rgb = W x0 + b, −1 to 1.
 * `darkroom.json` beside the model may bring the map; where it does not, least squares fit it to the pictures that are decoded anyway.
 */
export interface PreviewMap {
	/** Whether there is anything to draw with. */
	readonly ready: boolean
	/** Learns from a latent [C, h, w] and its picture [3, H, W]. */
	learn(latent: Tensor, image: Tensor): void
	/** As `darkroom.json` has it. */
	facts(): NonNullable<Facts['preview']>
	/** [C, h, w] to [3, h, w], −1 to 1 but for what a linear map makes of the strongest. */
	colours(latent: Tensor): Tensor
}

/** Pictures that a fit learns from; more change nothing that anyone sees. */
const MOST_LEARNED = 16

export function previewMap(shipped: Facts['preview']): PreviewMap {
	/** Rows for red, green and blue: C weights, and the bias. */
	let map: readonly (readonly number[])[] | undefined = shipped?.weight.map((row, i) => [...row, shipped.bias[i]!])
	const rgb = <T>(of: (row: readonly number[]) => T): [T, T, T] => {
		const [red, green, blue] = map!
		return [of(red!), of(green!), of(blue!)]
	}
	let learned = 0
	/** Normal equations: AᵀA, and Aᵀb for each colour. */
	let square: number[][] = []
	let right: number[][] = []

	return {
		get ready() {
			return map !== undefined
		},
		learn(latent, image) {
			if (shipped || learned === MOST_LEARNED) {
				return
			}
			const [channels, h, w] = latent.dims as [number, number, number]
			if (square.length !== channels + 1) {
				square = Array.from({ length: channels + 1 }, (_, i) =>
					Array.from({ length: channels + 1 }, (_, j) => (i === j ? 1e-3 : 0))
				)
				right = [0, 1, 2].map(() => Array(channels + 1).fill(0))
			}
			const shrunk = shrink(image, h, w)
			for (let at = 0; at < h * w; at++) {
				const a = [...Array.from({ length: channels }, (_, c) => latent.data[c * h * w + at]!), 1]
				for (let i = 0; i <= channels; i++) {
					for (let j = 0; j <= channels; j++) {
						square[i]![j]! += a[i]! * a[j]!
					}
					for (let colour = 0; colour < 3; colour++) {
						right[colour]![i]! += a[i]! * shrunk[colour * h * w + at]!
					}
				}
			}
			map = right.map((b) => solve(square, b))
			learned += 1
		},
		facts: () => ({
			weight: rgb((row) => row.slice(0, -1)),
			bias: rgb((row) => row.at(-1)!)
		}),
		colours({ data, dims }) {
			const [channels, h, w] = dims as [number, number, number]
			const area = h * w
			const image = new Float32Array(3 * area)
			for (const [colour, row] of (map ?? []).entries()) {
				for (let at = 0; at < area; at++) {
					let sum = row[channels] ?? 0
					for (let c = 0; c < channels; c++) {
						sum += (row[c] ?? 0) * data[c * area + at]!
					}
					image[colour * area + at] = sum
				}
			}
			return { data: image, dims: [3, h, w] }
		}
	}
}

/** Means over the pixels that lie under each of h × w, as bright as they can be shown. */
export function shrink({ data, dims }: Tensor, h: number, w: number): Float32Array {
	const [, height, width] = dims as [number, number, number]
	const [fy, fx] = [height / h, width / w]
	const shrunk = new Float32Array(3 * h * w)
	for (let colour = 0; colour < 3; colour++) {
		for (let y = 0; y < height; y++) {
			for (let x = 0; x < width; x++) {
				const at = colour * h * w + Math.floor(y / fy) * w + Math.floor(x / fx)
				shrunk[at]! += Math.min(1, Math.max(-1, data[(colour * height + y) * width + x]!)) / (fy * fx)
			}
		}
	}
	return shrunk
}

/** Gaussian elimination of a small symmetric positive system. */
function solve(square: readonly (readonly number[])[], right: readonly number[]): number[] {
	const rows = square.map((row, i) => [...row, right[i]!])
	const n = rows.length
	for (let i = 0; i < n; i++) {
		for (let j = i + 1; j < n; j++) {
			const factor = rows[j]![i]! / rows[i]![i]!
			for (let k = i; k <= n; k++) {
				rows[j]![k]! -= factor * rows[i]![k]!
			}
		}
	}
	const solution = Array<number>(n).fill(0)
	for (let i = n - 1; i >= 0; i--) {
		let sum = rows[i]![n]!
		for (let j = i + 1; j < n; j++) {
			sum -= rows[i]![j]! * solution[j]!
		}
		solution[i] = sum / rows[i]![i]!
	}
	return solution
}
