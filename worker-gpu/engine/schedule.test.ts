import { describe, expect, test } from 'vitest'
import { chooseRows, PATIENCE, type Turn } from './schedule.ts'

interface Row {
	readonly name: string
	readonly group: string
	readonly turn: Turn
	readonly evaluations: number
	left: number
}

let arrival = 0
const row = (
	name: string,
	steps: number,
	{ group = 'a', evaluations = 2, priority = 0, deadline = Number.POSITIVE_INFINITY } = {}
): Row => ({
	name,
	group,
	evaluations,
	left: steps,
	turn: { priority, deadline, arrival: arrival++, age: 0, waited: 0, begun: false }
})

/** Runs until nobody is left; `arrivals` come before the tick of their number. Gives who took part in each tick, and the longest wait. */
function run(most: number, arrivals: Record<number, Row[]>, { stay = false, light = most } = {}) {
	let live: Row[] = []
	const ticks: string[][] = []
	const longest = new Map<string, number>()
	const last = Math.max(...Object.keys(arrivals).map(Number))
	for (let tick = 0; live.length > 0 || tick <= last; tick++) {
		live.push(...(arrivals[tick] ?? []))
		const groups = new Map(Object.entries(Object.groupBy(live, ({ group }) => group)) as [string, Row[]][])
		const chosen = chooseRows(groups, () => ({ most, light }), stay)?.rows ?? []
		ticks.push(chosen.map(({ name }) => name))
		for (const one of chosen) {
			one.left -= 1
		}
		for (const { name, turn } of live) {
			longest.set(name, Math.max(longest.get(name) ?? 0, turn.waited))
		}
		live = live.filter(({ left }) => left > 0)
	}
	return { ticks, longest, first: (name: string) => ticks.findIndex((tick) => tick.includes(name)) }
}

const many = (count: number, steps: (i: number) => number, fields = {}) =>
	Array.from({ length: count }, (_, i) => row(`r${i}`, steps(i), fields))

describe('below the limit', () => {
	test('everyone takes part in every tick, and whoever comes joins the next one', () => {
		const { ticks } = run(6, { 0: [row('long', 4)], 2: [row('late', 1)] })
		expect(ticks).toEqual([['long'], ['long'], ['long', 'late'], ['long']])
	})

	test('guided and unguided rows share what there is', () => {
		const { ticks } = run(5, { 0: [row('two', 1), row('one', 1, { evaluations: 1 }), row('both', 1), row('no room', 1)] })
		expect(ticks).toEqual([['two', 'one', 'both'], ['no room']])
	})

	test('groups take turns, and a newcomer’s group comes next', () => {
		const { ticks } = run(6, { 0: [row('a', 4), row('b', 3, { group: 'b' })], 3: [row('c', 1, { group: 'c' })] })
		expect(ticks.flat()).toEqual(['a', 'b', 'a', 'c', 'b', 'a', 'b', 'a'])
	})
})

describe('where a change of groups costs time', () => {
	test('a group stays until another one is overdue', () => {
		const { ticks } = run(6, { 0: [row('a', 20)], 2: [row('b', 20, { group: 'b' })] }, { stay: true })
		const turns = [2 + PATIENCE, PATIENCE, PATIENCE, 12 - PATIENCE]
		expect(ticks.flat().slice(0, 30)).toEqual(turns.flatMap((count, i) => Array(count).fill(i % 2 ? 'b' : 'a')))
	})

	test('nobody waits longer than that, and whoever is of the same group joins at once', () => {
		const first30 = row('a', 30)
		const others = many(3, () => 30, { group: 'b' })
		const { longest, first } = run(8, { 0: [first30, ...others], 4: [row('late', 5)] }, { stay: true })
		expect(Math.max(...longest.values())).toBeLessThanOrEqual(PATIENCE)
		expect(first('late')).toBe(4)
	})
})

describe('at the limit', () => {
	test('who comes begins at once; then those go on that need least for the time that they have been there', () => {
		const { ticks } = run(4, { 0: [row('old', 10), row('long', 60)], 4: [row('new', 10)] })
		expect(ticks.slice(3, 6)).toEqual([
			['old', 'long'],
			['old', 'new'],
			['old', 'new']
		])
		expect(ticks[10]).toEqual(['long', 'new'])
	})

	test.each([2, 5, 16, 40])('%i rows over the limit: nobody waits longer than the bound, from arrival to end', (count) => {
		const seats = 4
		const { longest } = run(2 * seats, { 0: many(count + seats, (i) => 8 + ((i * 13) % 43)) })
		expect(Math.max(...longest.values())).toBeLessThanOrEqual(PATIENCE + Math.ceil((count + seats - 1) / seats))
	})

	test('a stream of newcomers does not hold off those who are there', () => {
		const stream = Object.fromEntries(Array.from({ length: 120 }, (_, i) => [i + 1, [row(`s${i}`, 2)]]))
		const { longest } = run(4, { 0: [row('old', 30)], ...stream })
		expect(longest.get('old')).toBeLessThanOrEqual(PATIENCE + 120 / 2)
		expect(longest.get('old')).toBeLessThan(20)
	})

	test('the bound holds over groups too', () => {
		const groups = 12
		const { longest } = run(4, { 0: many(groups, () => 20).map((one, i) => ({ ...one, group: `g${i}` })) })
		expect(Math.max(...longest.values())).toBeLessThanOrEqual(PATIENCE + groups - 1)
	})
})

describe('where there are fewer rows than fill a call', () => {
	test('those that need most wait while a larger call would gain little, but for a tick when they are overdue', () => {
		const { ticks } = run(16, { 0: [row('a', 30), row('b', 40), row('c', 50)] }, { light: 4 })
		expect(ticks[0]).toEqual(['a', 'b', 'c'])
		expect(ticks[1]).toEqual(['a', 'b'])
		expect(ticks[1 + PATIENCE]).toEqual(['a', 'c'])
		expect(ticks[2 + PATIENCE]).toEqual(['a', 'b'])
	})

	test('whoever comes joins the next tick all the same', () => {
		const { first } = run(16, { 0: many(4, () => 30), 3: [row('late', 40)] }, { light: 4 })
		expect(first('late')).toBe(3)
	})

	test('as many as fill a call all take part', () => {
		const { ticks } = run(8, { 0: many(4, () => 20) }, { light: 4 })
		expect(ticks).toEqual(Array(20).fill(['r0', 'r1', 'r2', 'r3']))
	})
})

describe('what goes first', () => {
	test('priority, at once', () => {
		const { first } = run(2, { 0: [row('low', 20)], 2: [row('high', 3, { priority: 2 })] })
		expect(first('high')).toBe(2)
	})

	test('but no priority holds off a lower one for ever', () => {
		const { longest, ticks } = run(2, { 0: [row('low', 3), row('high', 200, { priority: 3 })] })
		expect(longest.get('low')).toBe(PATIENCE * 4)
		expect(ticks.filter(([name]) => name === 'low')).toHaveLength(3)
		expect(ticks.length).toBe(203)
	})

	test('of equal priority the earlier deadline, which no priority above it minds', () => {
		const { ticks } = run(2, {
			0: [row('whenever', 1), row('later', 1, { deadline: 9 }), row('soon', 1, { deadline: 5 }), row('high', 1, { priority: 1 })]
		})
		expect(ticks.flat()).toEqual(['high', 'soon', 'later', 'whenever'])
	})
})
