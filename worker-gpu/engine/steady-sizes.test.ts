import { expect, test } from 'vitest'
import { steadySizes } from './steady-sizes.ts'

/** Milliseconds of an evaluation, and of a change of shape. */
const EACH = 10
const CHANGE = 200

/** The sizes of calls for so many wanted evaluations one after another, and what they took. */
function run(wanted: readonly (number | readonly [key: string, count: number])[], { limit = 64, change = CHANGE } = {}) {
	const sizes = steadySizes()
	let [before, total] = ['', 0]
	const chosen = wanted.map((one) => {
		const [key, count] = typeof one === 'number' ? ['a', one] : one
		const size = sizes.choose(key, count, limit)
		const shape = `${key} ${size}`
		const ms = EACH * size + (shape === before ? 0 : change)
		sizes.took(key, size, ms)
		before = shape
		total += ms
		return size
	})
	return { chosen, total }
}

const times = (count: number, value: number) => Array<number>(count).fill(value)

test('sizes are powers of two, and no more than the limit', () => {
	expect(run([1, 1, 3, 5, 9, 20], { limit: 20 }).chosen).toEqual([1, 1, 4, 8, 16, 20])
	expect(run([21], { limit: 20 }).chosen).toEqual([21])
})

test('a moment with fewer rows changes nothing', () => {
	expect(run([8, 8, 7, 4, 8, 6, 8]).chosen).toEqual(times(7, 8))
})

test('what stays too large is given up when it has wasted what the change costs', () => {
	// 40 ms a call at 8 for 4: five of them waste 200.
	expect(run([8, 8, ...times(8, 4)]).chosen).toEqual([8, 8, ...times(5, 8), ...times(3, 4)])
	// 70 ms a call at 8 for 1.
	expect(run([8, 8, ...times(4, 1)]).chosen).toEqual([8, 8, 8, 8, 1, 1])
})

test('where a change costs nothing, sizes follow at once', () => {
	expect(run([8, 8, 4, 4, 2], { change: 0 }).chosen).toEqual([8, 8, 4, 4, 2])
})

test('rows of another shape take the size that they need', () => {
	expect(run([16, 16, ['b', 3], ['b', 3], 2]).chosen).toEqual([16, 16, 4, 4, 2])
})

test('of rows that come and go it takes half the time that following each of them takes', () => {
	// Each call one more row or one less, of 1 to 16.
	let [state, count] = [7, 8]
	const wanted = Array.from({ length: 1000 }, () => {
		state = (state * 1103515245 + 12345) % 2 ** 31
		count = Math.min(Math.max(count + (state > 2 ** 30 ? 1 : -1), 1), 16)
		return count
	})
	const following = wanted.reduce((sum, count, i) => sum + EACH * count + (count === wanted[i - 1] ? 0 : CHANGE), 0)
	expect(run(wanted).total).toBeLessThan(following / 2)
})
