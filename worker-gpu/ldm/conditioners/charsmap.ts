import { z } from 'zod'

/**
 * SentencePiece's normalisation (Kudo and Richardson, 2018, §3.3) as a model carries it: a double-array trie (Aoe, 1989; darts-clone) of UTF-8 strings, and the strings that
 * stand in their place. How a text is cut for that, and that the shortest string found counts, is the Rust crate's way (`tokenizers`, Precompiled).
 */
export const Charsmap = z.string().transform((base64, context) => {
	const map = Buffer.from(base64, 'base64')
	const length = map.length < 4 ? Number.NaN : map.readUInt32LE(0)
	if (length % 4 !== 0 || 4 + length > map.length) {
		context.addIssue({ code: 'custom', message: `expected a trie and strings, got ${map.length} bytes that are none` })
		return z.NEVER
	}
	const units = Uint32Array.from({ length: length / 4 }, (_, i) => map.readUInt32LE(4 + 4 * i))
	const strings = map.subarray(4 + length)

	/** What stands in the place of a text that begins with a string of the trie; undefined where none does. */
	const replacement = (text: string): string | undefined => {
		let at = offset(units[0]!)
		for (const byte of Buffer.from(text)) {
			const unit = units[at ^ byte]
			// A NUL ends a string of the trie; a label is a byte, and of a leaf no byte.
			if (byte === 0 || unit === undefined || (unit & 0x800000ff) !== byte) {
				return undefined
			}
			at ^= byte ^ offset(unit)
			if (unit & 0x100) {
				const from = units[at]! & 0x7fffffff
				return strings.toString('utf8', from, strings.indexOf(0, from))
			}
		}
		return undefined
	}

	return (text: string): string =>
		Array.from(graphemes.segment(text), ({ segment }) => {
			const whole = Buffer.byteLength(segment) < 6 ? replacement(segment) : undefined
			return whole ?? Array.from(segment, (char) => replacement(char) ?? char).join('')
		}).join('')
})

const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' })

/** From a unit to those of the bytes that may follow. */
const offset = (unit: number): number => (unit >>> 10) << ((unit & 0x200) >>> 6)
