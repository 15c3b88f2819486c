import { afterEach, expect, test, vi } from 'vitest'
import { fromHalf, toHalf } from './half.ts'

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
