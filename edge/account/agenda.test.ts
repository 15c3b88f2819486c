import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { expect, it, vi } from 'vitest'
import { env, get, newAccount, patience } from '../testing.ts'
import { Account } from './account.ts'

it('erases so much at once, and lets nothing else wait for the rest', async () => {
	const { account, key } = await newAccount()
	const stub = env.ACCOUNT.getByName(account)
	const rows = (sql: string) => runInDurableObject(stub, (_: Account, { storage }) => storage.sql.exec(sql).toArray())
	await rows(
		`WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 250)
		INSERT INTO generations (id, request, model, status, epoch, created_at, completed_at)
		SELECT printf('gen_%026d', n), '{}', 'scenes', 'canceled', 1, 0, 0 FROM counted`
	)
	await rows("INSERT INTO due (kind, subject, at) SELECT 'erase', id, 1 FROM generations UNION ALL SELECT 'deadline', 'none', 2")
	await env.BUCKET.put('gen_00000000000000000000000250/1/0', 'left behind')
	// What is due was written behind the account's back.
	await evictDurableObject(stub)
	const begun = await runInDurableObject(stub, async (instance: Account, { storage }) => {
		await Promise.all([instance.alarm(), instance.alarm(), instance.alarm()])
		return storage.sql.exec('SELECT kind, count(*) AS n FROM due WHERE at < 3 GROUP BY kind').toArray()
	})
	expect(begun).toEqual([{ kind: 'erase', n: 150 }])
	await vi.waitFor(async () => {
		expect((await get('/v1/account', key)).status).toBe(200)
		expect(await rows("SELECT * FROM due WHERE kind = 'erase'")).toEqual([])
	}, patience)
	expect((await env.BUCKET.list({ prefix: 'gen_00000000000000000000000' })).objects).toEqual([])
})

it('comes back for an account that cannot be opened, until it can', async () => {
	const { account } = await newAccount()
	const failed = runInDurableObject(env.ACCOUNT.getByName(account), async (_: Account, ctx) => {
		const { kv } = ctx.storage
		const schema = kv.get<number>('schema')!
		await ctx.storage.deleteAlarm()
		kv.put('schema', schema + 1)
		new Account(ctx, env)
		kv.put('schema', schema)
		await new Promise(() => {})
	})
	await expect(failed).rejects.toThrow('a newer Darkroom has been here')
	const alarm = await runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, { storage }) => storage.getAlarm())
	expect(alarm).toBeGreaterThan(Date.now())
})
