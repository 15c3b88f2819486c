import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** Keyed by what it is for, so that no value derived for one purpose serves another. */
export function hmac(
	secret: string,
	purpose: 'api-key' | 'callback' | 'stream' | 'output' | 'file' | 'fal-webhook',
	...parts: (string | number)[]
): string {
	return createHmac('sha256', secret)
		.update([purpose, ...parts].join('\n'))
		.digest('hex')
}

export const sha256 = (text: string | Uint8Array): string => createHash('sha256').update(text).digest('hex')

const utf8 = new TextEncoder()

/** Equality in a time that tells nothing about where two texts differ. */
export function sameText(a: string, b: string): boolean {
	const [left, right] = [utf8.encode(a), utf8.encode(b)]
	return left.length === right.length && timingSafeEqual(left, right)
}
