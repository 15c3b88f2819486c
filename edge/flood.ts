import { createMiddleware } from 'hono/factory'
import type { App } from './app.ts'
import { ProblemError } from './errors.ts'

/** Seconds: the period in wrangler.toml. */
const period = 10

/**
 * Turns a flood from one address away before anything is parsed or any object woken. Cloudflare names the address, and counts by
 * location and loosely; who has no address named did not come through Cloudflare.
 */
export const withoutFlood = createMiddleware<App>(async function withoutFlood(c, next) {
	const address = c.req.header('cf-connecting-ip')
	if (address && !(await c.var.env.FLOOD.limit({ key: address })).success) {
		const detail = 'Too many requests from this address.'
		throw new ProblemError({ code: 'rate-limited', detail, 'violated-policies': ['address'], retryAfter: period })
	}
	await next()
})
