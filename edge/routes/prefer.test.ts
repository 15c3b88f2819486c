import { expect, it } from 'vitest'
import { waitOf } from './prefer.ts'

it.each([
	[undefined, undefined],
	['', undefined],
	['respond-async', undefined],
	['wait=10', 10],
	['WAIT = 10', 10],
	['wait="10"', 10],
	['respond-async, wait=7; because=x', 7],
	['wait', 60],
	['wait=', undefined],
	['wait=60', 60],
	['wait=61', 60],
	['wait=999999999999', undefined],
	['wait=0', undefined],
	['wait=-5', undefined],
	['wait=1.5', undefined],
	['wait=soon', undefined],
	['wait=3, wait=9', 3],
	['waiting=5', undefined],
	['wait-not=5', undefined],
	['wait="5', undefined],
	['wait=5=6', undefined]
])('Prefer: %s waits %s seconds', (header, seconds) => {
	expect(waitOf(header)).toBe(seconds)
})

it('reads a header of thousands of spaces at once', () => {
	expect(waitOf(`wait=${' '.repeat(8_000)}"""`)).toBeUndefined()
})
