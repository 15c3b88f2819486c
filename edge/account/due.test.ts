import { runInDurableObject } from 'cloudflare:test'
import { expect, it } from 'vitest'
import { randomText } from '../../shared/ids.ts'
import { env } from '../testing.ts'
import { Due, type Kind } from './due.ts'

it('gives what is due to one claim, the longest due first, and again should nothing come of that', async () => {
	await runInDurableObject(env.ACCOUNT.getByName(`t-${randomText(10)}`), (_, { storage }) => {
		const due = new Due(storage.sql)
		due.put('enqueue', 'gen_2', 2_000)
		due.put('enqueue', 'gen_1', 1_000)
		const claim = (now: number) => due.claim(now, 1, () => 5_000).get('enqueue')
		expect([claim(999), claim(2_000), claim(2_000), claim(2_000)]).toEqual([undefined, ['gen_1'], ['gen_2'], undefined])
		expect(due.next()).toBe(7_000)
		expect([claim(6_999), claim(7_000), claim(7_000), claim(7_000)]).toEqual([undefined, ['gen_1'], ['gen_2'], undefined])
		storage.sql.exec('DELETE FROM due')
	})
})

it('passes over what is busy once, not at each claim, and misses nothing that is put meanwhile', async () => {
	await runInDurableObject(env.ACCOUNT.getByName(`t-${randomText(10)}`), (_, { storage: { sql } }) => {
		let read = () => 0
		const exec: SqlStorage['exec'] = (...query) => {
			const cursor = sql.exec<never>(...query)
			read = () => cursor.rowsRead
			return cursor
		}
		const due = new Due({ exec } as SqlStorage)
		for (let n = 0; n < 1_000; n++) {
			due.put('erase', `gen_${n}`, n)
		}
		const claim = (now: number, busy: Kind[]) => [...due.claim(now, 10, () => 5_000, busy).values()].flat()
		expect(claim(2_000, ['erase'])).toEqual([])
		expect(read()).toBeGreaterThanOrEqual(1_000)
		expect(claim(2_001, ['erase'])).toEqual([])
		expect(read()).toBeLessThan(10)
		due.put('enqueue', 'late', 500)
		due.put('enqueue', 'now', 2_001)
		expect(claim(2_001, ['erase'])).toEqual(['late', 'now'])
		due.failed('enqueue', 'now', 2_001, 1)
		expect(claim(2_002, ['erase'])).toEqual(['now'])
		expect(claim(2_002, [])).toEqual(Array.from({ length: 10 }, (_, n) => `gen_${n}`))
		expect(claim(2_002, ['erase'])).toEqual([])
		expect(read()).toBeLessThan(10)
		sql.exec('DELETE FROM due')
	})
})
