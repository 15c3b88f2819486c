/** Crockford's base 32 in lower case: no i, l, o or u, so that an id survives being read aloud. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * A new id: `<prefix>_` and 26 characters, 48 bits of milliseconds and then 80 random bits (the layout of a ULID), so ids
 * of one kind sort by the time of their making.
 */
export function newId(prefix: string, now: number = Date.now()): string {
	let time = ''
	for (let left = now, i = 0; i < 10; i++, left = Math.floor(left / 32)) {
		time = alphabet[left % 32] + time
	}
	return `${prefix}_${time}${randomText(16)}`
}

/** `length` characters of 5 random bits each. */
export function randomText(length: number): string {
	let text = ''
	for (const byte of crypto.getRandomValues(new Uint8Array(length))) {
		text += alphabet[byte % 32]
	}
	return text
}
