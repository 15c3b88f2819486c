import { side } from './judge.ts'
import type { Pixels } from './sheets.ts'

/** How many times as large a side a picture is as its small one. */
const factor = 4
/** Pixels a side of a small picture. */
export const small = side / factor

/** The small picture, 32×32 RGB bytes, that a picture is the enlargement of: means of 4×4 pixels. */
export function shrink(picture: Pixels): Pixels {
	return Uint8Array.from({ length: small ** 2 * 3 }, (_, i) => {
		const [x, y, c] = [Math.floor(i / 3) % small, Math.floor(i / 3 / small), i % 3]
		let sum = 0
		for (let dy = 0; dy < factor; dy++) {
			for (let dx = 0; dx < factor; dx++) {
				sum += picture[((y * factor + dy) * side + x * factor + dx) * 3 + c]!
			}
		}
		return Math.round(sum / factor ** 2)
	})
}
