import type { Env } from '../../env.ts'
import { hmac, sha256 } from '../../hmac.ts'

/** PKCS#8 of an Ed25519 key, up to its 32 bytes (RFC 8410, §7). */
const pkcs8 = '302e020100300506032b657004220420'

const pairs = new WeakMap<Env, Promise<{ key: CryptoKey; x: string }>>()

/** The key that signs for fal's clients: derived, so that there is no further secret to set. */
function pairOf(env: Env): Promise<{ key: CryptoKey; x: string }> {
	const known = pairs.get(env)
	if (known) {
		return known
	}
	const made = (async () => {
		const bytes = Buffer.from(pkcs8 + hmac(env.DARKROOM_SECRET, 'fal-webhook'), 'hex')
		const key = await crypto.subtle.importKey('pkcs8', bytes, 'Ed25519', true, ['sign'])
		return { key, x: ((await crypto.subtle.exportKey('jwk', key)) as JsonWebKey).x as string }
	})()
	pairs.set(env, made)
	return made
}

/** The public half, as fal's https://rest.fal.ai/.well-known/jwks.json has it. */
export async function jwks(env: Env) {
	const { x } = await pairOf(env)
	return { keys: [{ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: sha256(x).slice(0, 16), x }] }
}

/**
 * fal's headers of a webhook (docs.fal.ai, "Webhooks"): Ed25519 over the request, the user, the time in seconds and the body's SHA-256.
 *
 * @param at when this attempt is made, in milliseconds
 */
export async function signedByFal(
	env: Env,
	account: string,
	request: string,
	at: number,
	body: string
): Promise<Record<string, string>> {
	const timestamp = String(Math.floor(at / 1_000))
	const message = [request, account, timestamp, sha256(body)].join('\n')
	const signature = await crypto.subtle.sign('Ed25519', (await pairOf(env)).key, Buffer.from(message))
	return {
		'x-fal-webhook-request-id': request,
		'x-fal-webhook-user-id': account,
		'x-fal-webhook-timestamp': timestamp,
		'x-fal-webhook-signature': Buffer.from(signature).toString('hex')
	}
}
