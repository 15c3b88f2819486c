import { inputLimits } from '../../shared/inputs.ts'
import { refuse } from './refuse.ts'

/** The bytes of a `data:` URI (RFC 2397) in base64. What it says of their type is not asked. */
export function bytesOf(uri: string, pointer: string): Uint8Array {
	const comma = uri.indexOf(',')
	const head = uri.slice(0, comma)
	if (comma === -1 || comma > 200 || !/;base64$/i.test(head)) {
		return refuse(pointer, 'data:<type>;base64,<data>', JSON.stringify(uri.slice(0, 60)))
	}
	const length = Math.floor(((uri.length - comma - 1) * 3) / 4)
	if (length > inputLimits.bytes + 2) {
		return refuse(pointer, `at most ${inputLimits.bytes} bytes`, `about ${length}`)
	}
	return Buffer.from(uri.slice(comma + 1), 'base64')
}
