import { createMiddleware } from 'hono/factory'
import type { App } from './app.ts'
import { ProblemError } from './errors.ts'

/** Seconds: the period in wrangler.toml. */
const period = 10
/** Requests of an address in a period that need no count but this isolate's own: to ask the binding each time would cost all others. */
const unsuspicious = 20

const seen = new Map<string, number>()
let current = 0

function isSuspicious(address: string): boolean {
	const now = Math.floor(Date.now() / (period * 1_000))
	if (now !== current) {
		current = now
		seen.clear()
	}
	const count = (seen.get(address) ?? 0) + 1
	seen.set(address, count)
	return count > unsuspicious
}

/** What one client has: an address, and of IPv6 a network of 2^64 of them. */
function ownerOf(address: string): string {
	if (!address.includes(':') || address.includes('.')) {
		return address
	}
	const [before = [], after = []] = address.split('::').map((groups) => groups.split(':'))
	const zeros = Array<string>(Math.max(0, 8 - before.length - after.length)).fill('0')
	return [...before, ...zeros, ...after].slice(0, 4).join(':')
}

/**
 * Turns a flood from one address away before anything is parsed or any object woken. Cloudflare names the address, and counts by
 * location and loosely; who comes from this machine, or has no address named, did not come through Cloudflare.
 */
export const withoutFlood = createMiddleware<App>(async function withoutFlood(c, next) {
	const address = c.req.header('cf-connecting-ip')
	if (address && address !== '127.0.0.1' && address !== '::1') {
		const key = ownerOf(address)
		if (isSuspicious(key) && !(await c.get('env').FLOOD.limit({ key })).success) {
			const detail = 'Too many requests from this address.'
			throw new ProblemError({ code: 'rate-limited', detail, 'violated-policies': ['address'], retryAfter: period })
		}
	}
	await next()
})
