import { runInDurableObject } from 'cloudflare:test'
import { expect, it } from 'vitest'
import type { Account } from './account/account.ts'
import { codeOf, env, get, newAccount } from './testing.ts'

it('asks clients to come again where an object is reset while it is asked', async () => {
	const { account, key } = await newAccount()
	const reset = runInDurableObject(env.ACCOUNT.getByName(account), (_: Account, state) =>
		state.blockConcurrencyWhile(async () => {
			await scheduler.wait(200)
			throw new Error('as at a deployment')
		})
	)
	const [answer] = await Promise.all([get('/v1/account', key), expect(reset).rejects.toThrow('deployment')])
	expect(answer.headers.get('retry-after')).toBe('1')
	expect(await codeOf(answer)).toBe('503 unavailable')
	expect((await get('/v1/account', key)).status).toBe(200)
})
