import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'

/** @param name of a golden file that is kept compressed, from this folder */
export async function unzip<T>(name: string): Promise<T> {
	return JSON.parse(gunzipSync(await readFile(path.join(import.meta.dirname, name))).toString())
}

/** float32 numbers as the golden files hold them: little-endian, base64. */
export function unpack(base64: string): Float32Array {
	const bytes = Buffer.from(base64, 'base64')
	return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
}

/** The largest difference of a picture's bytes, interleaved, from what they should be: planes of −1 to 1. */
export function bytesApart(got: Uint8Array, planes: Float32Array): number {
	if (got.length !== planes.length) {
		throw new Error(`expected ${planes.length} bytes, got ${got.length}`)
	}
	return got.reduce((most, byte, at) => {
		const value = planes[(at % 3) * (planes.length / 3) + Math.floor(at / 3)]!
		return Math.max(most, Math.abs(byte - Math.min(255, Math.max(0, (value + 1) * 127.5))))
	}, 0)
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
