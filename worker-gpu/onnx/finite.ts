import type { Tensor } from './tensor.ts'

/** A network, or the arithmetic after it, gave NaN or infinity (half-precision decoders overflow, guidance can be absurd). */
export class NotFinite extends Error {
	override name = 'NotFinite'

	constructor(what: string) {
		super(`${what}: expected finite numbers, got NaN or infinity`)
	}
}

export function assertFinite({ data }: Tensor, what: string): void {
	// Only NaN and infinity times zero are not zero. A sum has neither branches nor calls in its loop.
	let nothing = 0
	for (let i = 0; i < data.length; i++) {
		nothing += data[i]! * 0
	}
	if (nothing !== 0) {
		throw new NotFinite(what)
	}
}
