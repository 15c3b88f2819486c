import { z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { App } from './app.ts'
import { expectAdmin, expectKey } from './bearer.ts'
import { AccountId } from './ids.ts'
import { impossible } from './issues.ts'

/** Who manages an account: one of its own keys, known by its hash, or the admin, who needs none. */
export interface Caller {
	account: string
	key: string | null
}

type WithCaller = App & { Variables: { caller: Caller } }

const asOwner = createMiddleware<WithCaller>(async function asOwner(c, next) {
	const { account, hash } = expectKey(c as unknown as Context<App>)
	c.set('caller', { account, key: hash })
	await next()
})

const Named = z.object({ account: AccountId })

const asAdmin = createMiddleware<WithCaller>(async function asAdmin(c, next) {
	expectAdmin(c as unknown as Context<App>)
	const parts = c.req.param()
	const named = Named.safeParse(parts)
	if (!named.success) {
		throw impossible(named.error, c.req.path, parts)
	}
	c.set('caller', { account: named.data.account, key: null })
	await next()
})

/** The two doors to an account's own affairs: its owner's, and the admin's. */
export const doors = [
	{ base: '/v1', enter: asOwner, params: {}, whose: 'of the account' },
	{ base: '/v1/admin/accounts/{account}', enter: asAdmin, params: { account: AccountId }, whose: 'of an account, as its admin' }
] as const

/** What a route behind a door takes from its path. */
export const pathOf = <T extends z.ZodRawShape>(door: (typeof doors)[number], shape: T) => z.object({ ...door.params, ...shape })
