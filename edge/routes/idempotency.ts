import type { Context } from 'hono'
import type { Repeat } from '../account/repeats.ts'
import { ProblemError } from '../errors.ts'
import { sha256 } from '../hmac.ts'
import type { Key } from '../keys.ts'

/** Milliseconds. */
const day = 86_400_000
const tenMinutes = 600_000

export const idempotencyHeader = {
	name: 'idempotency-key',
	in: 'header',
	description: 'Names the order for 24 hours: sent again with the same body, it is answered with the same generation.',
	schema: { type: 'string' },
	example: '"8e03978e-40d5-43e8-bc93-6894a57f9324"'
} as const

/** Of an answer that is about an order accepted before. */
export const replayed = { 'idempotent-replayed': 'true' }

/**
 * How a request says that it may have been sent before: by an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07, a quoted
 * string; Stripe's clients send it bare), or by the retry count of an SDK that Stainless generated, such as OpenAI's, which sends none.
 * An order is accepted in one transaction, so none of its repetitions finds it half done, where the draft would have a 409.
 */
export function repeatOf(c: Context, key: Key, body: unknown): Repeat | undefined {
	const header = c.req.header('idempotency-key')
	if (header !== undefined) {
		const name = /^"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"$|^([\x21\x23-\x7e]{1,255})$/.exec(header.trim())
		if (!name) {
			const detail = `Idempotency-Key: expected 1 to 255 printable characters, in quotes where spaces are among them, got ${JSON.stringify(header.slice(0, 60))}.`
			throw new ProblemError({ code: 'malformed-header', detail })
		}
		return { name: `key ${name[1] ?? name[2]}`, fingerprint: sha256(JSON.stringify(body)), life: day, matches: 'always' }
	}
	const count = c.req.header('x-stainless-retry-count')
	if (count === undefined || !/^\d{1,3}$/.test(count)) {
		return undefined
	}
	const fingerprint = sha256(JSON.stringify(body))
	const matches = Number(count) > 0 ? 'lost' : 'never'
	return { name: `sdk ${key.hash} ${fingerprint}`, fingerprint, life: tenMinutes, matches }
}
