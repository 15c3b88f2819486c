import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import type { App } from './app.ts'
import type { Env } from './env.ts'
import { ProblemError } from './errors.ts'
import { sameText } from './hmac.ts'
import { type Key, readKey } from './keys.ts'

/** The bearer token of a request (RFC 6750), or a 401. */
export function bearer(c: Context): string {
	const token = /^Bearer +([\w.~+/=-]+) *$/i.exec(c.req.header('authorization') ?? '')?.[1]
	if (!token) {
		throw unauthorized(missing)
	}
	return token
}

const missing = 'Expected a header `Authorization: Bearer <token>`.'
const unauthorized = (detail: string) => new ProblemError({ code: 'unauthorized', detail })

export const expectKey = (c: Context<App>): Key => expectKeyIn(c.get('env'), bearer(c))

/** A well-formed, genuine API key. Its Account confirms it within the same call that does the work. */
export function expectKeyIn(env: Env, token: string): Key {
	const key = readKey(env.DARKROOM_SECRET, token)
	if (!key) {
		throw unauthorized(token ? 'The API key is not one of ours.' : missing)
	}
	return key
}

export function expectAdmin(c: Context<App>): void {
	if (!sameText(bearer(c), c.var.env.ADMIN_TOKEN)) {
		throw unauthorized('The admin token is wrong.')
	}
}

export type WithKey = App & { Variables: { key: Key } }

export const withKey = createMiddleware<WithKey>(function withKey(c, next) {
	const key = expectKey(c as unknown as Context<App>)
	c.set('key', key)
	c.set('account', key.account)
	return next()
})

export const withAdmin = createMiddleware<App>(async function withAdmin(c, next) {
	expectAdmin(c)
	await next()
})
