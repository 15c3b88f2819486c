import type { Tensor } from './tensor.ts'

/** A network, or the arithmetic after it, gave NaN or infinity (half-precision decoders overflow, guidance can be absurd). */
export class NotFinite extends Error {
	override name = 'NotFinite'

	constructor(what: string) {
		super(`${what}: expected finite numbers, got NaN or infinity`)
	}
}

export function assertFinite({ data }: Tensor, what: string): void {
	for (let i = 0; i < data.length; i++) {
		if (!Number.isFinite(data[i])) {
			throw new NotFinite(what)
		}
	}
}
