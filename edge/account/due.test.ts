import { runInDurableObject } from 'cloudflare:test'
import { expect, it } from 'vitest'
import { randomText } from '../../shared/ids.ts'
import { env } from '../testing.ts'
import { Due } from './due.ts'

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
