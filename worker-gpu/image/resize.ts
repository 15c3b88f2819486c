import { setImmediate } from 'node:timers/promises'
import type { Size } from '../../shared/inputs.ts'

/** Interleaved samples of 8 bits, rows from the top. */
export interface Samples extends Size {
	readonly pixels: Uint8Array
	readonly channels: number
}

/** How a picture is cut: scaled to `covered`, of which the middle of size `taken` stays. */
export interface Cut {
	readonly covered: Size
	readonly taken: Size
}

/**
 * With Lanczos' kernel of three lobes, made wider where a picture shrinks: bit for bit what Pillow's `Image.resize` makes of it (13.0, src/libImaging/
 * Resample.c), and so diffusers' VaeImageProcessor.
 */
export async function lanczos(samples: Samples, { covered, taken }: Cut): Promise<Uint8Array> {
	const { pixels, width, height, channels } = samples
	const columns = tapsOf(width, covered.width, taken.width)
	const rows = tapsOf(height, covered.height, taken.height)
	// Each pass rounds, so that their order shows. This is Pillow's, and most often across first.
	const lost = height - covered.height
	if (lost > 0 && lost > 2 * (width - covered.width)) {
		return (await pass(await pass(samples, rows, false), columns, true)).pixels
	}
	const [first, last] = [rows[0]!.from, rows.at(-1)!]
	const needed = pixels.subarray(first * width * channels, (last.from + last.weights.length) * width * channels)
	const shifted = rows.map(({ from, weights }) => ({ from: from - first, weights }))
	const narrow = await pass({ ...samples, pixels: needed, height: needed.length / width / channels }, columns, true)
	return (await pass(narrow, shifted, false)).pixels
}

/** Products after which others have their turn: there may be half a second of them, and a node's consumer has one thread. */
const TURN = 1 << 22
/** Fixed point, with as many bits behind the point as 32 leave for samples of 8 and what overshoots them. */
const BITS = 22

/** Resized along one of its sides. */
async function pass({ pixels, width, height, channels }: Samples, taps: readonly Taps[], isAcross: boolean): Promise<Samples> {
	const size = isAcross ? { width: taps.length, height } : { width, height: taps.length }
	const [stride, made] = [width * channels, size.width * channels]
	const step = isAcross ? channels : stride
	const result = new Uint8Array(size.height * made)
	let products = 0
	for (let y = 0; y < size.height; y++) {
		for (let x = 0; x < size.width; x++) {
			const { from, weights } = taps[isAcross ? x : y]!
			const start = isAcross ? y * stride + from * channels : from * stride + x * channels
			for (let c = 0; c < channels; c++) {
				let total = 1 << (BITS - 1)
				for (let k = 0, at = start + c; k < weights.length; k++, at += step) {
					total = (total + Math.imul(pixels[at]!, weights[k]!)) | 0
				}
				result[y * made + x * channels + c] = Math.min(255, Math.max(0, total >> BITS))
			}
			products += channels * weights.length
		}
		if (products > TURN) {
			await setImmediate()
			products = 0
		}
	}
	return { ...size, channels, pixels: result }
}

/** The samples, `from` on, that one of the result is made of. */
interface Taps {
	readonly from: number
	readonly weights: Int32Array
}

/** For the `taken` in the middle of `covered`, which `length` samples are scaled to. */
function tapsOf(length: number, covered: number, taken: number): Taps[] {
	const scale = length / covered
	const spread = Math.max(scale, 1)
	return Array.from({ length: taken }, (_, i) => {
		const center = (middle(covered, taken) + i + 0.5) * scale
		const from = Math.max(0, Math.trunc(center - 3 * spread + 0.5))
		const end = Math.min(length, Math.trunc(center + 3 * spread + 0.5))
		const kernel = Array.from({ length: end - from }, (_, k) => windowedSinc((from + k - center + 0.5) / spread))
		const whole = kernel.reduce((sum, weight) => sum + weight)
		return { from, weights: Int32Array.from(kernel, (weight) => awayFromZero((weight / whole) * 2 ** BITS)) }
	})
}

const middle = (covered: number, taken: number) => Math.floor((covered - taken) / 2)
const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x))
const windowedSinc = (x: number) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)
const awayFromZero = (value: number) => Math.trunc(value < 0 ? value - 0.5 : value + 0.5)

/** Each sample that of the nearest place: what has no middle between two values. */
export function nearest({ pixels, width, height, channels }: Samples, { covered, taken }: Cut): Uint8Array {
	const placesOf = (length: number, covered: number, taken: number) =>
		Array.from({ length: taken }, (_, i) => Math.floor(((middle(covered, taken) + i + 0.5) * length) / covered))
	const columns = placesOf(width, covered.width, taken.width)
	const rows = placesOf(height, covered.height, taken.height)
	return Uint8Array.from({ length: taken.width * taken.height * channels }, (_, i) => {
		const [x, y] = [Math.floor(i / channels) % taken.width, Math.floor(i / channels / taken.width)]
		return pixels[(rows[y]! * width + columns[x]!) * channels + (i % channels)]!
	})
}
