import { afterEach, expect, test, vi } from 'vitest'
import { fromHalf, toHalf, writeHalves } from './half.ts'

// Node 24's own type is the reference for the bits that Node 20 has to do without it.
const Reference = Float16Array
afterEach(() => vi.unstubAllGlobals())

const every = Uint16Array.from({ length: 0x10000 }, (_, i) => i)

test('every half, from its bits', () => {
	expect(fromHalf(every)).toEqual(Float32Array.from(new Reference(every.buffer)))
})

test('to bits: every half, what lies between two of them, and beyond both ends', () => {
	const halves = [...new Reference(every.buffer)].filter(Number.isFinite)
	const values = Float32Array.from([
		...halves.flatMap((value) => [
			value,
			value * (1 + 2 ** -11),
			value * (1 + 2 ** -12),
			value * 1.0005,
			value + 2 ** -25,
			value + 2 ** -26
		]),
		...[65519.9, 65520, 1e30, -1e30, 1e-30, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN]
	])
	const expected = new Uint16Array(Reference.from(values).buffer)
	expect(toHalf(values)).toEqual(expected)

	vi.stubGlobal('Float16Array', undefined)
	expect(toHalf(values)).toEqual(expected)
})

test('they are written into the front of what is there, and no further', () => {
	for (const type of [Reference, undefined]) {
		vi.stubGlobal('Float16Array', type)
		const batch = new Uint16Array(4).fill(7)
		writeHalves([1, -2], batch.subarray(1))
		expect([...batch]).toEqual([7, 0x3c00, 0xc000, 7])
	}
})
