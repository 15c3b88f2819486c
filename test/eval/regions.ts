import { side } from './judge.ts'
import type { Pixels } from './sheets.ts'

/** Left, top, right and bottom in pixels. */
export type Square = readonly [number, number, number, number]

/** Whether pixel number `at` lies in the square. */
export function inside([x0, y0, x1, y1]: Square, at: number): boolean {
	const [x, y] = [at % side, Math.floor(at / side)]
	return x >= Math.floor(x0) && x < Math.ceil(x1) && y >= Math.floor(y0) && y < Math.ceil(y1)
}

/** What is in a square, and some pixels around it, on an empty floor: a scene that the judge can read. */
export function alone(picture: Pixels, [x0, y0, x1, y1]: Square, floor: Pixels, around = 3): Pixels {
	const wide: Square = [x0 - around, y0 - around, x1 + around, y1 + around]
	return floor.map((sample, i) => (inside(wide, Math.floor(i / 3)) ? picture[i]! : sample))
}

/** The mean square of the differences of samples, over the pixels that count: all by default. */
export function squaredDifference(a: Pixels, b: Pixels, counts = (_at: number): boolean => true): number {
	let [sum, count] = [0, 0]
	for (let i = 0; i < a.length; i++) {
		if (counts(Math.floor(i / 3))) {
			sum += (a[i]! - b[i]!) ** 2
			count += 1
		}
	}
	return sum / count
}

/** Decibels of a mean square of differences of samples. */
export function psnr(squared: number): number {
	return 10 * Math.log10(255 ** 2 / squared)
}
