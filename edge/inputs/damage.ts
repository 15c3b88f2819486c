import { crc32 } from 'node:zlib'
import type { InputType } from '../../shared/inputs.ts'
import { frameOf } from './inspect.ts'

/**
 * What keeps a picture from being decoded, as far as that is plain to see without decoding it; undefined where nothing does. Almost all that goes
 * wrong with files is that their end is missing. Each loop moves on with every turn.
 */
export function damageOf(bytes: Uint8Array, type: InputType): string | undefined {
	try {
		return checks[type](bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength))
	} catch (error) {
		if (error instanceof RangeError) {
			return cutOff // It points beyond the end.
		}
		throw error
	}
}

const cutOff = 'one that is cut off'
/** Chunks and boxes as they are read. */
const [IDAT, IEND, MDAT] = [0x49444154, 0x49454e44, 0x6d646174]

const checks: Record<InputType, (bytes: Uint8Array, view: DataView) => string | undefined> = {
	/** Of the chunks that decoders cannot do without, each has a checksum: third edition, §5.3. */
	'image/png'(bytes, view) {
		let hasPixels = false
		for (let at = 8, type = 0; at + 8 <= bytes.length && type !== IEND; ) {
			type = view.getUint32(at + 4)
			const end = at + 8 + view.getUint32(at)
			const isCritical = (view.getUint8(at + 4) & 0x20) === 0
			if (isCritical && type !== IEND && view.getUint32(end) !== crc32(bytes.subarray(at + 4, end))) {
				return 'one with a wrong checksum'
			}
			hasPixels ||= type === IDAT
			at = end + 4
		}
		return hasPixels ? undefined : cutOff
	},
	/** ITU-T T.81, annex B: the end is marked, and those two bytes are nowhere in coded samples. */
	'image/jpeg'(bytes, view) {
		const at = frameOf(view)! // `inspect` has found it.
		const bits = view.getUint8(at + 4)
		if (bits !== 8) {
			return `one of ${bits} bits a sample`
		}
		return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf('ffd9', at, 'hex') === -1 ? cutOff : undefined
	},
	/** GIF89a, §18 to 26, up to the end of the first picture. */
	'image/gif'(_, view) {
		const table = (at: number) => (view.getUint8(at) & 0x80 ? 3 * 2 ** ((view.getUint8(at) & 7) + 1) : 0)
		let at = 13 + table(10)
		for (let isPicture = false; !isPicture; at++) {
			isPicture = view.getUint8(at) === 0x2c
			if (!(isPicture || view.getUint8(at) === 0x21)) {
				return cutOff
			}
			at += isPicture ? 11 + table(at + 9) : 2
			for (; view.getUint8(at) !== 0; at += 1 + view.getUint8(at)) {}
		}
		return undefined
	},
	/** RFC 9649, §2.4. */
	'image/webp': (bytes, view) => (8 + view.getUint32(4, true) > bytes.length ? cutOff : undefined),
	/** ISO/IEC 14496-12, §4.2 and 8.1.1: the box that has the pixels is whole. */
	'image/avif'(bytes, view) {
		for (let at = 0; at + 8 <= bytes.length; ) {
			const size = view.getUint32(at)
			// 0: up to the end of the file; 1: a 64-bit size follows.
			const end =
				size === 0 ? bytes.length : at + (size === 1 ? 2 ** 32 * view.getUint32(at + 8) + view.getUint32(at + 12) : size)
			if (end < at + 8 || end > bytes.length) {
				return cutOff
			}
			if (view.getUint32(at + 4) === MDAT) {
				return undefined
			}
			at = end
		}
		return cutOff
	}
}
