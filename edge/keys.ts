import { randomText } from '../shared/ids.ts'
import { hmac, sameText, sha256 } from './hmac.ts'

/** An API key as the edge sees it: whose it says it is, and what the Account knows it by. */
export interface Key {
	readonly account: string
	readonly hash: string
}

const form = /^(dk_([a-z0-9-]{3,32})_[0-9a-z]{32})_([0-9a-f]{16})$/
const check = (secret: string, body: string) => hmac(secret, 'api-key', body).slice(0, 16)

/** `dk_<account>_<secret>_<check>`: 160 random bits, and a checksum that only we can make. */
export function mintKey(secret: string, account: string): string {
	const body = `dk_${account}_${randomText(32)}`
	return `${body}_${check(secret, body)}`
}

/** Genuine keys that were read lately: they come again and again, and hashing is most of what reading one costs. An isolate has one secret. */
const known = new Map<string, Key>()
const mostKnown = 1_000

/** Refuses a forged key before any storage is touched. Whether it was revoked, only its Account knows. */
export function readKey(secret: string, text: string): Key | undefined {
	const seen = known.get(text)
	if (seen) {
		return seen
	}
	const [, body, account, sum] = form.exec(text) ?? []
	if (!body || !account || !sum || !sameText(sum, check(secret, body))) {
		return undefined
	}
	const key = { account, hash: sha256(text) }
	if (known.size >= mostKnown) {
		known.clear()
	}
	known.set(text, key)
	return key
}
