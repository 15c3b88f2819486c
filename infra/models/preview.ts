import type { Facts } from '../../worker-gpu/ldm/facts.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Tensor } from '../../worker-gpu/onnx/tensor.ts'

/** A latent [C, h, w] and the picture [3, h · f, w · f] that it was decoded to. */
export interface Pair {
	readonly latent: Tensor
	readonly image: Tensor
}

/**
 * The linear map from a latent to the mean colour of the pixels that it stands for with the least squared error over all of `pairs`, and the share
 * of the colours' variance that it explains (R², 0 to 1).
 */
export function fitPreview(pairs: readonly Pair[]): { preview: NonNullable<Facts['preview']>; explained: number } {
	const channels = pairs[0]!.latent.dims[0]!
	const samples = pairs.flatMap(samplesOf)
	const size = channels + 1
	// The normal equations AᵀA w = Aᵀb. A little on the diagonal keeps channels that never move from having any weight at all.
	const squares = Array.from({ length: size }, (_, i) =>
		Array.from({ length: size }, (_, j) => (i === j && i < channels ? 1e-6 : 0))
	)
	const products = Array.from({ length: size }, () => [0, 0, 0])
	for (const { position, colour } of samples) {
		for (let i = 0; i < size; i++) {
			for (let j = 0; j < size; j++) {
				squares[i]![j]! += (position[i]! * position[j]!) / samples.length
			}
			for (let c = 0; c < 3; c++) {
				products[i]![c]! += (position[i]! * colour[c]!) / samples.length
			}
		}
	}
	const solution = solve(squares, products)
	const predicted = (position: readonly number[], c: number) =>
		position.reduce((sum, value, i) => sum + value * solution[i]![c]!, 0)
	let [missed, spread] = [0, 0]
	for (const c of [0, 1, 2]) {
		const mean = samples.reduce((sum, { colour }) => sum + colour[c]!, 0) / samples.length
		for (const { position, colour } of samples) {
			missed += (colour[c]! - predicted(position, c)) ** 2
			spread += (colour[c]! - mean) ** 2
		}
	}
	const round = (value: number) => Number(value.toPrecision(4))
	const weightOf = (c: number) => solution.slice(0, channels).map((row) => round(row[c]!))
	const biasOf = (c: number) => round(solution[channels]![c]!)
	return {
		preview: { weight: [weightOf(0), weightOf(1), weightOf(2)], bias: [biasOf(0), biasOf(1), biasOf(2)] },
		explained: spread === 0 ? 0 : 1 - missed / spread
	}
}

/** Each position of the latent, with a 1 for the bias, and the mean colour there. */
function samplesOf({ latent, image }: Pair): { position: number[]; colour: number[] }[] {
	const [channels, height, width] = latent.dims as [number, number, number]
	const [, imageHeight, imageWidth] = image.dims as [number, number, number]
	const f = imageHeight / height
	if (!Number.isInteger(f) || imageWidth !== width * f || channels < 1) {
		throw new ModelError('preview', `expected a picture in whole multiples of its latent [${latent.dims}], got [${image.dims}]`)
	}
	return Array.from({ length: height * width }, (_, at) => {
		const [y, x] = [Math.floor(at / width), at % width]
		const colour = [0, 1, 2].map((c) => {
			let sum = 0
			for (let dy = 0; dy < f; dy++) {
				for (let dx = 0; dx < f; dx++) {
					sum += Math.min(1, Math.max(-1, image.data[(c * imageHeight + y * f + dy) * imageWidth + x * f + dx]!))
				}
			}
			return sum / f ** 2
		})
		return { position: [...Array.from({ length: channels }, (_, c) => latent.data[c * height * width + at]!), 1], colour }
	})
}

/** A x = b for several b, by Gauss's elimination with partial pivoting. */
function solve(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): number[][] {
	const rows = a.map((row, i) => [...row, ...b[i]!])
	const size = a.length
	for (let column = 0; column < size; column++) {
		const pivot = rows
			.slice(column)
			.reduce((best, row, i) => (Math.abs(row[column]!) > Math.abs(rows[best]![column]!) ? column + i : best), column)
		;[rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!]
		const top = rows[column]!
		for (let r = 0; r < size; r++) {
			const row = rows[r]!
			const factor = r === column ? 0 : row[column]! / top[column]!
			for (let k = column; k < row.length && factor !== 0; k++) {
				row[k]! -= factor * top[k]!
			}
		}
	}
	return rows.map((row, i) => row.slice(size).map((value) => value / row[i]!))
}
