import { inputLimits } from '../../shared/input-limits.ts'
import { refuse } from '../refuse.ts'

const [comma, percent, backslash, u] = [0x2c, 0x25, 0x5c, 0x75]
/** As which JSON escapes ends of lines and tabs. */
const spaces = new Set([...'nrt'].map((letter) => letter.charCodeAt(0)))
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
/** Each byte as base64 has it, also in its letters for URLs: six bits; or nothing, between lines and at the end; or none of it. */
const [nothing, none] = [64, 65]
const values = new Uint8Array(256).fill(none)
for (const letters of [`${alphabet}+/`, `${alphabet}-_`]) {
	for (const [value, letter] of [...letters].entries()) {
		values[letter.charCodeAt(0)] = value
	}
}
for (const letter of ' \t\n\v\f\r=') {
	values[letter.charCodeAt(0)] = nothing
}

/**
 * The bytes of a `data:` URI (RFC 2397) in base64, also in its letters for URLs, in lines, or percent-encoded. What it says of their type is not
 * asked. They take the place of its letters, which come as JSON has them between quotes.
 */
export function decode(uri: Uint8Array, pointer: string): Uint8Array {
	const start = uri.indexOf(comma) + 1
	if (start === 0 || start > 201 || !/; *base64 *,$/i.test(text(uri, 0, start))) {
		return refuse(pointer, 'data:<type>;base64,<data>', JSON.stringify(text(uri, 0, 60)))
	}
	let [length, rest, bits] = [0, 0, 0]
	for (let at = start; at < uri.length; ) {
		const letter = uri[at]!
		const [code, size] = letter === percent || letter === backslash ? standsFor(uri, at) : [letter, 1]
		const value = values[code] ?? none
		if (value === none) {
			const stray = JSON.stringify([...text(uri, at, at + 6)][0])
			return refuse(pointer, 'base64 after the comma', `${stray} at its character ${at - start + 1}`)
		}
		if (value !== nothing) {
			rest = (rest << 6) | value
			bits += 6
			if (bits >= 8) {
				bits -= 8
				uri[length++] = rest >> bits
			}
		}
		at += size
	}
	return length > inputLimits.bytes
		? refuse(pointer, `at most ${inputLimits.bytes} bytes`, String(length))
		: uri.subarray(0, length)
}

const text = (bytes: Uint8Array, from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString()

/** What an escape stands for, and its length: `%2B` of a URI; `\/`, `\n` or `\u002B` of JSON, which many writers have in their base64. */
function standsFor(bytes: Uint8Array, at: number): [code: number, size: number] {
	const next = bytes[at + 1]!
	if (bytes[at] === percent) {
		return [hexadecimal(bytes, at + 1, 2), 3]
	}
	if (next === u) {
		return [hexadecimal(bytes, at + 2, 4), 6]
	}
	return [spaces.has(next) ? 0x20 : next, 2]
}

/** NaN where one of them is no digit. No text is made of them: there may be millions. */
function hexadecimal(bytes: Uint8Array, at: number, digits: number): number {
	let code = 0
	for (let i = at; i < at + digits; i++) {
		code = code * 16 + Number.parseInt(String.fromCharCode(bytes[i] ?? 0), 16)
	}
	return code
}
