import { expect, it } from 'vitest'
import { inShort } from './duration.ts'

it.each([
	[0.2, '1 s'],
	[120, '120 s'],
	[121, '3 min'],
	[7_201, '3 h'],
	[172_801, '3 days']
])('%d seconds are told as %s', (seconds, told) => {
	expect(inShort(seconds)).toBe(told)
})
