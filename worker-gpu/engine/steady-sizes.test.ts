import { expect, test } from 'vitest'
import { steadySizes } from './steady-sizes.ts'

/** Milliseconds of an evaluation, and of a plan. */
const EACH = 10
const PLAN = 200

type Wanted = number | readonly [key: string, count: number]

/** The sizes of calls for so many wanted evaluations one after another, and what they took. `remembered` plans at most are kept, the latest used. */
function run(wanted: readonly Wanted[], { limit = 64, plan = PLAN, remembered = 8 } = {}) {
	const sizes = steadySizes()
	let planned: string[] = []
	let total = 0
	const chosen = wanted.map((one) => {
		const [key, count] = typeof one === 'number' ? ['a', one] : one
		const size = sizes.choose(key, count, limit, (size) => planned.includes(`${key} ${size}`))
		const shape = `${key} ${size}`
		const known = planned.includes(shape)
		const ms = EACH * size + (known ? 0 : plan)
		sizes.took(key, size, ms, known)
		planned = [shape, ...planned.filter((other) => other !== shape)].slice(0, remembered)
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

test('what was planned is taken as it is', () => {
	expect(run([8, 8, 4, 2, ...times(30, 4), 8, 3, 4, 8]).chosen.slice(-4)).toEqual([8, 4, 4, 8])
})

test('a moment with fewer rows plans nothing', () => {
	expect(run([8, 8, 7, 4, 8, 6, 8]).chosen).toEqual(times(7, 8))
})

test('what is filled up is planned when it has wasted what the plan costs', () => {
	// 40 ms a call at 8 for 4: five of them waste 200.
	expect(run([8, 8, ...times(8, 4)]).chosen).toEqual([8, 8, ...times(5, 8), ...times(3, 4)])
	// 70 ms a call at 8 for 1.
	expect(run([8, 8, ...times(4, 1)]).chosen).toEqual([8, 8, 8, 8, 1, 1])
	// However it came to that.
	expect(run([8, 8, 4, 4, 4, 8, 8, 4, 4, 4]).chosen).toEqual([...times(9, 8), 4])
})

test('a call that something else held up is no measure of the others', () => {
	const sizes = steadySizes()
	const choose = () => sizes.choose('a', 4, 64, (size) => size === 8)
	sizes.took('a', 8, 280, false)
	for (const ms of [8_000, 80, 8_000]) {
		sizes.took('a', 8, ms, true)
	}
	expect([1, 2, 3, 4, 5, 6].map(choose)).toEqual([...times(5, 8), 4])
})

test('without a limit, too, and no call is filled up more than eight times', () => {
	expect(run([16, 16, 1, 3], { limit: Number.POSITIVE_INFINITY }).chosen).toEqual([16, 16, 1, 16])
})

test('of larger ones that were planned the smallest is filled up', () => {
	expect(run([32, 32, 8, 8, 32, 3]).chosen).toEqual([32, 32, 8, 8, 32, 8])
})

test('where a plan costs nothing, sizes follow at once', () => {
	expect(run([8, 8, 4, 4, 2], { plan: 0 }).chosen).toEqual([8, 8, 4, 4, 2])
})

test('rows of another shape take the size that they need', () => {
	expect(run([16, 16, ['b', 3], ['b', 3], 2]).chosen).toEqual([16, 16, 4, 4, 16])
})

test('of rows that come and go it takes half the time that planning each of them takes, even where one plan is remembered', () => {
	// Each call one more row or one less, of 1 to 16.
	let [state, count] = [7, 8]
	const wanted = Array.from({ length: 1000 }, () => {
		state = (state * 1103515245 + 12345) % 2 ** 31
		count = Math.min(Math.max(count + (state > 2 ** 30 ? 1 : -1), 1), 16)
		return count
	})
	const following = wanted.reduce((sum, count, i) => sum + EACH * count + (count === wanted[i - 1] ? 0 : PLAN), 0)
	expect(run(wanted, { remembered: 1 }).total).toBeLessThan(following / 2)
	const least = wanted.reduce((sum, count) => sum + EACH * 2 ** Math.ceil(Math.log2(count)), 0)
	expect(run(wanted).total).toBeLessThan(least * 1.05)
})
