import { ProblemError } from '../errors.ts'
import type { Held } from '../held.ts'
import { Given } from './given.ts'

/** Bytes of a body besides its `data:` URIs and files: prompts with every letter escaped, and all boxes there may be, take half of it. */
export const mostBesides = 256 * 1024
/** Bytes from which a URI is long. */
const long = 1_024

const [quote, backslash] = [0x22, 0x5c]

/**
 * A large body as JSON text in UTF-8, and what its strings stand for: long `data:` URIs are left where they are, for as texts they would be in memory
 * twice more, and what remains is small, for `[[],[],…]` is many times as much as values.
 */
export function shorten(body: Held): { text: Uint8Array; revive: ((_: string, value: unknown) => unknown) | undefined } {
	const { bytes } = body
	const given: Given[] = []
	const kept: Uint8Array[] = []
	// What nobody can have written.
	const mark = crypto.randomUUID()
	let [from, besides] = [0, bytes.length]
	for (const [start, end] of strings(bytes)) {
		if (end - start >= long && isDataUri(bytes, start)) {
			kept.push(bytes.subarray(from, start), Buffer.from(`${mark}${given.length}`))
			given.push(new Given(body, start, end))
			besides -= end - start
			from = end
		} else if (end - (bytes.length - besides) > mostBesides) {
			break
		}
	}
	if (besides > mostBesides) {
		throw new ProblemError({ code: 'payload-too-large', detail: `Expected at most ${mostBesides} bytes besides data: URIs.` })
	}
	const revive = (_: string, value: unknown) =>
		typeof value === 'string' && value.startsWith(mark) ? given[Number(value.slice(mark.length))] : value
	return { text: Buffer.concat([...kept, bytes.subarray(from)]), revive: given.length > 0 ? revive : undefined }
}

/** Where each string of a JSON text begins and ends, without its quotes. */
function* strings(bytes: Uint8Array): Generator<[number, number]> {
	for (let open = bytes.indexOf(quote); open !== -1; ) {
		let close = open
		do {
			close = bytes.indexOf(quote, close + 1)
		} while (close !== -1 && isEscaped(bytes, close))
		if (close === -1) {
			return // It is no JSON.
		}
		yield [open + 1, close]
		open = bytes.indexOf(quote, close + 1)
	}
}

/** After an odd number of backslashes. */
function isEscaped(bytes: Uint8Array, at: number): boolean {
	let first = at
	while (bytes[first - 1] === backslash) {
		first--
	}
	return (at - first) % 2 === 1
}

const isDataUri = (bytes: Uint8Array, start: number) =>
	/^ *data:/i.test(Buffer.from(bytes.subarray(start, start + 20)).toString('latin1'))
