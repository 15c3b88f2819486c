/** float32 numbers as the golden files hold them: little-endian, base64. */
export function unpack(base64: string): Float32Array {
	const bytes = Buffer.from(base64, 'base64')
	return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
}

/** The largest difference, relative to the largest value; infinite where one is NaN. */
export function distance(got: Float32Array, expected: Float32Array): number {
	if (got.length !== expected.length) {
		throw new Error(`expected ${expected.length} values, got ${got.length}`)
	}
	let most = 0
	let scale = 0
	for (const [i, value] of expected.entries()) {
		const difference = Math.abs(value - got[i]!)
		most = Math.max(most, Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference)
		scale = Math.max(scale, Math.abs(value))
	}
	return most / Math.max(scale, 1e-6)
}
