import { createHmac, randomBytes } from 'node:crypto'

const prefix = 'whsec_'

/** Standard Webhooks asks for 24 to 64 random bytes, in standard base64. */
export const newSecret = (): string => `${prefix}${randomBytes(32).toString('base64')}`

/**
 * The headers of Standard Webhooks 1.0.0: `v1` is an HMAC-SHA256 over `<id>.<timestamp>.<body>`, one for each secret that is good.
 * `at`: when this attempt is made, in milliseconds.
 */
export function signedHeaders(secrets: readonly string[], id: string, at: number, body: string): Record<string, string> {
	const timestamp = String(Math.floor(at / 1_000))
	const signatures = secrets.map((secret) => {
		const key = Buffer.from(secret.slice(prefix.length), 'base64')
		return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
	})
	return {
		'content-type': 'application/json',
		'user-agent': 'Darkroom',
		'webhook-id': id,
		'webhook-timestamp': timestamp,
		'webhook-signature': signatures.join(' ')
	}
}
