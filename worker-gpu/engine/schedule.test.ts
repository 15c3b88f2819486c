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
		const chosen = chooseRows(groups, () => ({ most, light }), { stay })?.rows ?? []
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

	test('the time that a row has been there is counted in ticks', () => {
		const { ticks } = run(2, { 0: [row('old', 11)], 2: [row('new', 5)] })
		// 9 evaluations after 3 ticks, against 4 after 1.
		expect(ticks.slice(0, 4).flat()).toEqual(['old', 'old', 'new', 'new'])
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

	test('those of lower priority rest, whatever room there is, until nobody is above them', () => {
		const { ticks } = run(16, { 0: many(3, () => 6), 2: [row('high', 3, { priority: 1, group: 'b' })] }, { light: 8 })
		expect(ticks.slice(1, 7)).toEqual([['r0', 'r1', 'r2'], ['high'], ['high'], ['high'], ['r0', 'r1', 'r2'], ['r0', 'r1', 'r2']])
	})

	test.each([1, 30, 300])('of %i that rest some have one tick in so many, those that came first', (count) => {
		const { ticks } = run(8, { 0: [...many(count, () => 3), row('high', 100, { priority: 1 })] })
		const others = ticks.slice(0, 100).map((names, i) => ({ i, names: names.filter((name) => name !== 'high') }))
		const first = others.filter(({ names }) => names.length > 0).slice(0, 3)
		expect(first).toEqual([16, 33, 50].map((i) => ({ i, names: ['r0', 'r1', 'r2', 'r3'].slice(0, count) })))
	})

	test('but no priority holds off a lower one for ever', () => {
		const { longest, ticks } = run(2, { 0: [row('low', 3, { priority: 1 }), row('high', 200, { priority: 4 })] })
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

/**
 * The same in two lanes: each turn one of them chooses, and when both have calls under way, or there is nothing to choose, the older call ends. A row's wait is counted
 * in calls of others that were chosen while it was free.
 */
function runTwo(most: number, arrivals: Record<number, Row[]>, { stay = true, light = most } = {}) {
	let live: (Row & { busy: boolean })[] = []
	const calls: { group: string; names: string[]; size: number; beside: boolean }[] = []
	const longest = new Map<string, number>()
	const underWay: (typeof live)[] = []
	const last = Math.max(...Object.keys(arrivals).map(Number))
	const arrived = new Set<number>()
	while (live.length > 0 || calls.length <= last) {
		for (const [at, rows] of Object.entries(arrivals)) {
			if (Number(at) <= calls.length && !arrived.has(Number(at))) {
				arrived.add(Number(at))
				live.push(...rows.map((one) => ({ ...one, busy: false })))
			}
		}
		const groups = new Map(Object.entries(Object.groupBy(live, ({ group }) => group)) as [string, typeof live][])
		const free = new Set(live.filter(({ busy }) => !busy))
		const chosen = underWay.length < 2 && chooseRows(groups, () => ({ most, light }), { stay, lanes: 2 })
		if (!chosen) {
			expect(underWay.length).toBeGreaterThan(0)
			for (const one of underWay.shift()!) {
				one.busy = false
				one.left -= 1
			}
			live = live.filter(({ left }) => left > 0)
			continue
		}
		for (const one of chosen.rows) {
			expect(free).toContain(one)
			one.busy = true
		}
		for (const { name, turn } of free) {
			longest.set(name, Math.max(longest.get(name) ?? 0, turn.waited))
		}
		const size = chosen.rows.reduce((sum, { evaluations }) => sum + evaluations, 0)
		calls.push({ group: chosen.key, names: chosen.rows.map(({ name }) => name), size, beside: underWay.length > 0 })
		underWay.push(chosen.rows)
	}
	return { calls, longest, first: (name: string) => calls.findIndex(({ names }) => names.includes(name)) }
}

describe('in two lanes', () => {
	test('beside a call there is none of those that rest', () => {
		const { calls } = runTwo(16, { 0: many(8, () => 2), 1: [row('high', 5, { priority: 1 })] }, { light: 8 })
		expect(calls.map(({ names, beside }) => ({ names, beside })).slice(1, 6)).toEqual([
			{ names: ['high'], beside: true },
			...Array(4).fill({ names: ['high'], beside: false })
		])
	})

	test('rows that fill two calls take turns in halves of one size', () => {
		const { calls } = runTwo(16, { 0: many(8, () => 10) }, { light: 8 })
		expect(calls.map(({ size }) => size)).toEqual(Array(20).fill(8))
		expect(calls.slice(1).every(({ beside }) => beside)).toBe(true)
	})

	test('too few for that share one call, beside which there is none', () => {
		const { calls } = runTwo(16, { 0: many(7, () => 10) }, { light: 8 })
		expect(calls).toEqual(Array(10).fill(expect.objectContaining({ size: 14, beside: false })))
	})

	test('where halves do not do as well, only full calls take turns', () => {
		expect(runTwo(16, { 0: many(15, () => 4) }).calls.some(({ beside }) => beside)).toBe(false)
		const { calls } = runTwo(16, { 0: many(16, () => 4) })
		expect(calls.map(({ size, beside }) => ({ size, beside })).slice(1)).toEqual(Array(7).fill({ size: 16, beside: true }))
	})

	test('no call is less than full while there are rows for it, whatever their number', () => {
		for (let count = 16; count < 80; count++) {
			const { calls } = runTwo(32, { 0: many(count, () => 6, { evaluations: 1 }) }, { light: 8 })
			const full = calls.filter(({ size }) => [8, 16, 32].includes(size))
			expect(full.reduce((sum, { size }) => sum + size, 0)).toBeGreaterThanOrEqual((count - 16) * 6)
		}
	})

	test('whoever comes is in the call that is chosen next', () => {
		for (const count of [3, 8, 20]) {
			const { first } = runTwo(16, { 0: many(count, () => 30), 9: [row('late', 2)] }, { light: 8 })
			expect(first('late')).toBe(9)
		}
	})

	test.each([20, 33, 100])('%i rows: nobody waits longer than the bound, from arrival to end', (count) => {
		const { longest } = runTwo(16, { 0: many(count, (i) => 8 + ((i * 13) % 43)) }, { light: 8 })
		// Eight rows a call, or four once there are fewer.
		expect(Math.max(...longest.values())).toBeLessThanOrEqual(PATIENCE + Math.ceil(count / 4))
	})

	test('a group has both of them until another one is overdue, and no longer than that', () => {
		const rows = [...many(8, () => 40), ...many(8, () => 40, { group: 'b' })]
		const { calls, longest } = runTwo(16, { 0: rows }, { light: 8 })
		const changes = calls.filter(({ group }, i) => i > 0 && group !== calls[i - 1]!.group)
		expect(changes.length).toBeLessThanOrEqual(calls.length / (PATIENCE - 1) + 1)
		expect(Math.max(...longest.values())).toBeLessThanOrEqual(PATIENCE + 2)
	})
})
