import { expect, test } from 'vitest'
import { toHalf } from './half.ts'
import { stacking } from './rows.ts'

const row = (value: number, length = 2) => ({ data: new Float32Array(length).fill(value), dims: [length] })
const [a, b, c, long] = [row(1), row(2), row(3), row(4, 3)]

test.each([
	[
		'rows that changed places',
		[
			[a, b],
			[b, a],
			[a, a]
		]
	],
	['fewer rows, then more', [[a, b, c], [b], [b, b, c]]],
	[
		'others of another length',
		[
			[a, b],
			[long, a],
			[a, b]
		]
	],
	['more than there was room for', [[a], [a, long, c, b]]]
])('%s are stacked as if for the first time', (_, calls) => {
	for (const half of [false, true]) {
		const stack = stacking(half)
		for (const rows of calls) {
			const values = rows.flatMap(({ data }) => [...data])
			const { data, dims } = stack(rows, [values.length])
			expect(data).toEqual(half ? toHalf(values) : Float32Array.from(values))
			expect(dims).toEqual([values.length])
		}
	}
})

test('halves are stacked as they are, and after rows that do not fit all are written', () => {
	const halves = { data: toHalf([5, 6]), dims: [2] }
	const stack = stacking(true)
	stack([a, halves], [4])
	expect(() => stack([b, b, b], [4])).toThrow(RangeError)
	expect(stack([a, halves], [4]).data).toEqual(toHalf([1, 1, 5, 6]))
})
