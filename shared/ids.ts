/** Crockford's base 32 in lower case: no i, l, o or u, so that an id survives being read aloud. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/**
 * A new id: `<prefix>_` and 26 characters, 48 bits of milliseconds and then 80 random bits (the layout of a ULID), so ids
 * of one kind sort by the time of their making.
 */
export function newId(prefix: string, now: number = Date.now()): string {
	// Many are made in the same millisecond.
	if (now !== latest.now) {
		latest = { now, text: timeText(now) }
	}
	return `${prefix}_${latest.text}${randomText(16)}`
}

/** Where ids of that time, or later, begin. */
export const firstId = (prefix: string, at: number): string => `${prefix}_${timeText(Math.max(0, at))}`

let latest = { now: 0, text: '0000000000' }

function timeText(now: number): string {
	let text = ''
	for (let left = now, i = 0; i < 10; i++, left = Math.floor(left / 32)) {
		text = alphabet[left % 32] + text
	}
	return text
}

/** When an id was made, in milliseconds. */
export function timeOf(id: string): number {
	const text = id.slice(id.indexOf('_') + 1).slice(0, 10)
	return [...text].reduce((ms, digit) => ms * 32 + alphabet.indexOf(digit), 0)
}

/** Drawn many at once, for each draw costs as much as a hundred of them; every byte is used once. */
const bytes = new Uint8Array(4_096)
let used = bytes.length

/** `length` characters of 5 random bits each, at most 4,096. */
export function randomText(length: number): string {
	if (used + length > bytes.length) {
		crypto.getRandomValues(bytes)
		used = 0
	}
	let text = ''
	for (const end = used + length; used < end; used++) {
		text += alphabet[(bytes[used] as number) % 32]
	}
	return text
}
