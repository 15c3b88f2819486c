import type { Tensor } from './tensor.ts'

/** A network, or the arithmetic after it, gave NaN or infinity (half-precision decoders overflow, guidance can be absurd). */
export class NotFinite extends Error {
	override name = 'NotFinite'

	constructor(what: string) {
		super(`${what}: expected finite numbers, got NaN or infinity`)
	}
}

export function assertFinite({ data }: Tensor, what: string): void {
	// Only NaN and infinity times zero are not zero. Sums have neither branches nor calls in their loop, and four of them need not wait for each other.
	const fours = data.length - (data.length % 4)
	let [a, b, c, d] = [0, 0, 0, 0]
	for (let i = 0; i < fours; i += 4) {
		a += data[i]! * 0
		b += data[i + 1]! * 0
		c += data[i + 2]! * 0
		d += data[i + 3]! * 0
	}
	for (let i = fours; i < data.length; i++) {
		a += data[i]! * 0
	}
	if (a + b + c + d !== 0) {
		throw new NotFinite(what)
	}
}
