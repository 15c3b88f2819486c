/*
 * Half precision (IEEE 754 binary16). ONNX Runtime gives a Float16Array where JavaScript has it (Node 24) and its bits in a Uint16Array
 * where not (Node 20).
 */

/** The bits of the nearest halves. */
export function toHalf(values: ArrayLike<number>): Uint16Array {
	const halves = new Uint16Array(values.length)
	writeHalves(values, halves)
	return halves
}

/** The bits of the nearest halves, into the front of `halves`. */
export function writeHalves(values: ArrayLike<number>, halves: Uint16Array): void {
	if (typeof Float16Array !== 'undefined') {
		new Float16Array(halves.buffer, halves.byteOffset, values.length).set(values)
		return
	}
	for (let i = 0; i < values.length; i++) {
		halves[i] = toBits(values[i]!)
	}
}

export function fromHalf(values: Uint16Array | InstanceType<typeof Float16Array>): Float32Array {
	if (!(values instanceof Uint16Array)) {
		return new Float32Array(values)
	}
	every ??= Float32Array.from({ length: 2 ** 16 }, (_, half) => fromBits(half))
	const floats = new Float32Array(values.length)
	for (let i = 0; i < floats.length; i++) {
		floats[i] = every[values[i]!]!
	}
	return floats
}

/** What each half stands for. */
let every: Float32Array | undefined
const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** Rounds to the nearest, ties to even. */
function toBits(value: number): number {
	float[0] = value
	const sign = (bits[0]! >>> 16) & 0x8000
	const magnitude = bits[0]! & 0x7fff_ffff
	if (magnitude > 0x7f80_0000) {
		return sign | 0x7e00 // NaN
	}
	if (magnitude >= 0x477f_f000) {
		return sign | 0x7c00 // from 65520 on: infinity
	}
	if (magnitude < 0x3880_0000) {
		// Below 2⁻¹⁴ a half counts multiples of 2⁻²⁴. Adding and taking away 2⁵² rounds a double to an integer.
		return sign | (Math.abs(float[0]!) * 2 ** 24 + 2 ** 52 - 2 ** 52)
	}
	return sign | ((magnitude - 0x3800_0000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13)
}

function fromBits(half: number): number {
	const exponent = (half >>> 10) & 0x1f
	const fraction = half & 0x3ff
	const magnitude =
		exponent === 0
			? fraction * 2 ** -24
			: exponent === 0x1f
				? fraction
					? Number.NaN
					: Number.POSITIVE_INFINITY
				: (1 + fraction / 1024) * 2 ** (exponent - 15)
	return half & 0x8000 ? -magnitude : magnitude
}
