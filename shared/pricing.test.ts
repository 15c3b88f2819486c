import { expect, test } from 'vitest'
import { findModel } from './catalog.ts'
import { inUnits, priceOf } from './pricing.ts'

const price = { picture: 1_000, megapixel_step: 300 }

test.each([
	[{ width: 1_000, height: 1_000, steps: 1 }, 1_300],
	[{ width: 1_000, height: 1_000, steps: 50 }, 16_000],
	[{ width: 64, height: 64, steps: 1 }, 1_002],
	[{ width: 128, height: 128, steps: 25 }, 1_123]
])('a picture of %o costs %i micro-units', (drawn, expected) => {
	expect(priceOf({ price }, drawn)).toBe(expected)
})

test.each([
	[0, '0.00'],
	[1_410, '0.00141'],
	[1_500_000, '1.50'],
	[999_999_995_771, '999999.995771'],
	[Number.MAX_SAFE_INTEGER, '9007199254.740991']
])('%i micro-units are told as %s', (micro, told) => {
	expect(inUnits(micro)).toBe(told)
})

test('what the demo model draws has a price', () => {
	expect(priceOf(findModel('scenes')!, { width: 128, height: 128, steps: 25 })).toBe(1_410)
})
