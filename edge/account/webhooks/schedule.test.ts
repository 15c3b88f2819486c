import { afterEach, expect, it, vi } from 'vitest'
import { pauseAfter } from './schedule.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

afterEach(() => void vi.restoreAllMocks())

it.each([
	[0, 0.9],
	[0.5, 1]
])('pauses are those of Standard Webhooks, up to a tenth more or less: at a draw of %d, %d of them', (draw, share) => {
	vi.spyOn(Math, 'random').mockReturnValue(draw)
	const pauses = [5_000, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 14 * hour, 20 * hour, day]
	expect(pauses.map((_, i) => pauseAfter(1 + i, null))).toEqual(pauses.map((pause) => share * pause))
	expect(pauseAfter(1 + pauses.length, null)).toBeUndefined()
})

it('a receiver may ask for a longer one, up to a day, and for none after the last', () => {
	expect([pauseAfter(1, 60), pauseAfter(1, 86_401), pauseAfter(2, 1)]).toEqual([minute, day, expect.closeTo(5 * minute, -5)])
	expect(pauseAfter(10, 60)).toBeUndefined()
})
