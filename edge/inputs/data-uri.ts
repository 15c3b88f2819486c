import { inputLimits } from '../../shared/inputs.ts'
import { refuse } from './refuse.ts'

/**
 * The bytes of a `data:` URI (RFC 2397) in base64, also in its letters for URLs, in lines, or percent-encoded. What it says of their type is not
 * asked.
 */
export function bytesOf(uri: string, pointer: string): Uint8Array {
	const comma = uri.indexOf(',')
	const head = uri.slice(0, comma)
	if (comma === -1 || comma > 200 || !/; *base64 *$/i.test(head)) {
		return refuse(pointer, 'data:<type>;base64,<data>', JSON.stringify(uri.slice(0, 60)))
	}
	const data = uri.slice(comma + 1).replace(/%([0-9a-f]{2})/gi, (_, code) => String.fromCharCode(Number.parseInt(code, 16)))
	// Buffer passes over what is no base64, and what comes out is another picture.
	const stray = /[^\w+/\s=-]/.exec(data)
	if (stray) {
		return refuse(pointer, 'base64 after the comma', `${JSON.stringify(stray[0])} at its character ${stray.index + 1}`)
	}
	const bytes = Buffer.from(data, 'base64')
	return bytes.length > inputLimits.bytes ? refuse(pointer, `at most ${inputLimits.bytes} bytes`, String(bytes.length)) : bytes
}
