import { describe, expect, it } from 'vitest'
import { Line, longest } from './line.ts'

const jobs = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `gen_${from + i}.1`)

describe('a line', () => {
	it('tells how many are ahead, and nothing of who is not in it', () => {
		const line = new Line()
		line.see(jobs(0, 5), 0)
		expect(line.standing('gen_0.1', null)).toEqual({ position: 0, eta: null })
		expect(line.standing('gen_4.1', null)).toEqual({ position: 4, eta: null })
		expect(line.standing('gen_9.1', null)).toBeUndefined()
	})

	it('tells who is not let in yet how many are ahead there and here', () => {
		const line = new Line()
		line.see(jobs(0, 5), 0)
		expect(line.standing('gen_9.1', 0)?.position).toBe(5)
		expect(line.standing('gen_9.1', 7)?.position).toBe(12)
	})

	it('tells who is too far behind to be seen how many are ahead at least', () => {
		const line = new Line()
		line.see(jobs(0, longest), 0)
		expect(line.standing('gen_5000.1', null)?.position).toBe(longest)
	})

	it('does not take who has just begun for who is too far behind to be seen', () => {
		const line = new Line()
		for (let second = 0; second < 3; second++) {
			line.see(jobs(3 * second, 3 * second + longest), 1_000 * second)
		}
		expect([2, 5].map((n) => line.standing(`gen_${n}.1`, null))).toEqual([undefined, undefined])
		expect(line.standing(`gen_${5 + longest}.1`, null)?.position).toBe(longest - 1)
		expect(line.standing('gen_5000.1', null)?.position).toBe(longest)
		// Half a minute later nobody is left whose node has not said that it has begun.
		for (let second = 3; second < 40; second++) {
			line.see(jobs(6, 6 + longest), 1_000 * second)
		}
		expect(line.standing('gen_2.1', null)?.position).toBe(longest)
	})

	it('says when one is likely to begin, by the pace of the last half minute', () => {
		const line = new Line()
		// Two a second.
		for (let second = 0; second < 20; second++) {
			line.see(jobs(2 * second, 100), 1_000 * second)
		}
		expect(line.standing('gen_38.1', null)).toEqual({ position: 0, eta: 1 })
		expect(line.standing('gen_97.1', null)).toEqual({ position: 59, eta: 30 })
		// Then one in ten seconds: the pace follows.
		for (let second = 20; second < 200; second++) {
			line.see(jobs(38 + Math.floor((second - 20) / 10), 100), 1_000 * second)
		}
		const { position, eta } = line.standing('gen_97.1', null)!
		expect(eta! / (position + 1)).toBeGreaterThan(8)
		expect(eta! / (position + 1)).toBeLessThan(12)
	})

	it('knows of no pace where nothing moves, or nobody looked for a while', () => {
		const line = new Line()
		for (let second = 0; second < 20; second++) {
			line.see(jobs(0, 10), 1_000 * second)
		}
		expect(line.standing('gen_3.1', null)).toEqual({ position: 3, eta: null })
		line.see(jobs(2, 10), 20_000)
		expect(line.standing('gen_3.1', null)!.eta).toBeGreaterThan(0)
		line.see(jobs(2, 10), 60_000)
		expect(line.standing('gen_3.1', null)).toEqual({ position: 1, eta: null })
	})

	it('does not take who was pushed out of sight for who has begun', () => {
		const line = new Line()
		for (let second = 0; second < 10; second++) {
			line.see([...jobs(10_000 - 50 * second, 10_000), ...jobs(0, longest)].slice(0, longest), 1_000 * second)
		}
		expect(line.standing('gen_5.1', null)).toEqual({ position: 455, eta: null })
	})
})
