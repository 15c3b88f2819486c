import { expect, test } from 'vitest'
import { count, money, when } from './format.ts'

test.each([
	[0, '0.00'],
	[1_410, '0.00141'],
	[1_500_000, '1.50'],
	[99_999_999, '99.999999'],
	[100_000_001, '100.00'],
	[999_999_995_770, '999,999.99']
])('%i micro-units are shown as %s', (micro, shown) => {
	expect(money(micro)).toBe(shown)
})

test('numbers and times are those of the pages, which are in English', () => {
	expect(count(1_000)).toBe('1,000')
	expect(when('2026-11-05T15:04:00')).toBe('5 Nov 2026, 15:04')
})
