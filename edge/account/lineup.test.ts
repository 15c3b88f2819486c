import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { call, env, get, newAccount, patience, post, stopClock } from '../testing.ts'
import type { Account } from './account.ts'

describe("An account's line", () => {
	let account: string
	let key: string
	let stub: DurableObjectStub<Account>
	stopClock()
	beforeEach(async () => {
		;({ account, key } = await newAccount())
		stub = env.ACCOUNT.getByName(account)
	})

	const order = async (terms: object = {}) => {
		const body = { model: 'scenes', prompt: 'a red sphere', count: 2, ...terms }
		return (await (await post('/v1/generations', key, body)).json<Generation>()).id
	}
	const cancel = (id: string) => post(`/v1/generations/${id}/cancel`, key, {})
	const rows = (sql: string) =>
		runInDurableObject(stub, (_: Account, { storage }) => storage.sql.exec(sql).toArray() as Record<string, unknown>[])
	const place = async (id: string) => (await rows(`SELECT place FROM generations WHERE id = '${id}'`))[0]?.place

	it('shows the queue a window of its work, and lets the rest in as that leaves it', async () => {
		const ids: string[] = []
		for (let i = 0; i < 21; i++) {
			vi.setSystemTime(Date.now() + 1)
			ids.push(await order())
		}
		const before = await Promise.all(ids.map(place))
		expect(before.slice(0, 16)).toEqual(Array.from({ length: 16 }, (_, i) => 1 + 2 * i))
		expect(before.slice(16)).toEqual(Array(5).fill(null))
		expect(await rows("SELECT count(*) AS n FROM due WHERE kind = 'enqueue'")).toEqual([{ n: 16 }])
		await call({ account, generation: ids[0]!, epoch: 1 }, 'start', { run: 'run-one-one' })
		expect(await place(ids[16]!)).toBe(31)
		await cancel(ids[1]!)
		expect(await place(ids[17]!)).toBe(31)
	})

	it('lets normal work pass work of low priority, and moves the oldest of a line that stands still to the front', async () => {
		const first = await order()
		const low = await order({ priority: 'low' })
		expect(await place(low)).toBe(67)
		await cancel(first)
		expect(await place(await order())).toBe(1)
		vi.setSystemTime(Date.now() + 5 * 60_000)
		await vi.waitFor(async () => {
			// A call to the queue that fails only now puts the next one off by some seconds more.
			vi.setSystemTime(Date.now() + 5_000)
			await runDurableObjectAlarm(stub)
			expect(await place(low)).toBe(1)
		}, patience)
	})

	it('moves the oldest to the front also where its line was moved before the clock was set back', async () => {
		vi.setSystemTime(Date.now() + 30 * 86_400_000)
		const first = await order({ priority: 'low' })
		expect(await place(first)).toBe(65)
		vi.setSystemTime(Date.now() - 30 * 86_400_000)
		await order()
		await vi.waitFor(async () => {
			vi.setSystemTime(Date.now() + 60_000)
			await runDurableObjectAlarm(stub)
			expect(await place(first)).toBe(1)
		}, patience)
	})

	it('takes no room from normal work for work of low priority, which has what room that leaves', async () => {
		const low: string[] = []
		for (let i = 0; i < 17; i++) {
			vi.setSystemTime(Date.now() + 1)
			low.push(await order({ priority: 'low' }))
		}
		expect(await Promise.all(low.slice(14).map(place))).toEqual([93, 95, null])
		const normal = await order()
		expect(await place(normal)).toBe(1)
		await order()
		await call({ account, generation: normal, epoch: 1 }, 'start', { run: 'run-one-one' })
		expect(await place(low[16]!)).toBe(null)
		await cancel(low[0]!)
		expect(await place(low[16]!)).toBe(null)
		await cancel(low[1]!)
		expect(await place(low[16]!)).toBe(95)
	})

	it('moves the oldest work of low priority to the front, though normal work fills the line and is started all the time', async () => {
		const ids: string[] = []
		for (let i = 0; i < 20; i++) {
			vi.setSystemTime(Date.now() + 1)
			ids.push(await order())
		}
		const low = await order({ priority: 'low' })
		expect(await place(low)).toBe(null)
		vi.setSystemTime(Date.now() + 5 * 60_000 - 1_000)
		await call({ account, generation: ids[0]!, epoch: 1 }, 'start', { run: 'run-one-one' })
		await order({ priority: 'low' })
		await vi.waitFor(async () => {
			vi.setSystemTime(Date.now() + 5_000)
			await runDurableObjectAlarm(stub)
			expect(await place(low)).toBe(1)
		}, patience)
		expect(await rows(`SELECT kind FROM due WHERE subject = '${low}'`)).toEqual([{ kind: 'enqueue' }])
	})

	it('counts no more of those that go before than anybody is told of', async () => {
		for (let i = 0; i < 17; i++) {
			await order()
		}
		vi.setSystemTime(Date.now() + 1)
		const id = await order()
		expect(await stub.inLine(id)).toEqual({ model: 'scenes', epoch: 1, before: 1 })
		await rows(
			`WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1200)
			INSERT INTO generations (id, request, model, status, epoch, created_at) SELECT n, '{}', 'scenes', 'queued', 1, n FROM counted`
		)
		expect(await stub.inLine(id)).toMatchObject({ before: 1_000 })
	})

	it('ends what no node has taken for a week, at no cost', async () => {
		const id = await order()
		const read = async () => (await get(`/v1/generations/${id}`, key)).json<Generation>()
		await rows("UPDATE generations SET model = 'removed', request = json_set(request, '$.model', 'removed')")
		vi.setSystemTime(Date.now() + 7 * 86_400_000 - 60_000)
		await runDurableObjectAlarm(stub)
		expect(await read()).toMatchObject({ status: 'queued', deadline: null })
		vi.setSystemTime(Date.now() + 60_000)
		await vi.waitFor(async () => {
			await runDurableObjectAlarm(stub)
			expect(await read()).toMatchObject({ status: 'expired', cost: { held: 0, charged: 0 } })
		}, patience)
		expect(await rows("SELECT * FROM due WHERE kind <> 'erase'")).toEqual([])
	})

	it('brings what can be before the queue, whatever is wrong with others', async () => {
		const ids = [await order(), await order()]
		const tries = async (id: string | undefined) =>
			(await rows(`SELECT tries FROM due WHERE kind = 'enqueue' AND subject = '${id}'`))[0]?.tries
		await vi.waitFor(async () => expect([await tries(ids[0]), await tries(ids[1])]).toEqual([1, 1]), patience)
		await rows(
			`CREATE TRIGGER broken BEFORE UPDATE OF status ON generations WHEN OLD.id = '${ids[0]}'
			BEGIN SELECT RAISE(ABORT, 'a row that cannot be changed'); END`
		)
		await rows(`UPDATE generations SET created_at = 0 WHERE id = '${ids[0]}'`)
		vi.setSystemTime(Date.now() + 11_000)
		await runDurableObjectAlarm(stub)
		await vi.waitFor(async () => expect(await tries(ids[1])).toBe(2), patience)
		await rows('DROP TRIGGER broken')
	})

	it('ends what waits behind that at alarms of its own, however much it is', async () => {
		for (let i = 0; i < 33; i++) {
			await order()
		}
		vi.setSystemTime(Date.now() + 7 * 86_400_000)
		const left = () =>
			runInDurableObject(stub, async (instance: Account, { storage }) => {
				// Past whatever a call to the queue that failed has put off, and before another does.
				vi.setSystemTime(Date.now() + 5_001)
				await instance.alarm()
				return storage.sql.exec("SELECT count(*) AS n FROM generations WHERE status = 'queued'").one().n
			})
		const seen: unknown[] = []
		while (seen.at(-1) !== 0) {
			seen.push(await left())
		}
		expect(seen).toEqual([33, 17, 17, 1, 1, 0])
	})
})
