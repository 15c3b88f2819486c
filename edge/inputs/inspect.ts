import type { InputType, Size } from '../../shared/inputs.ts'
import { orientationOf } from './orientation.ts'

export interface Inspected extends Size {
	readonly type: InputType
}

/**
 * Format and size of a picture by what its bytes say, whatever its name or content type are; undefined where it is none that we take. The
 * sides are those of the picture upright. Hostile bytes may claim any size, but each loop below moves on with every turn, and reads beyond
 * the end throw a RangeError. A picture has one Exif: the first, for a directory that many of them share would be read as many times.
 */
export function inspect(bytes: Uint8Array): Inspected | undefined {
	try {
		const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
		return png(view) ?? jpeg(view) ?? gif(view) ?? webp(view) ?? avif(view)
	} catch (error) {
		if (error instanceof RangeError) {
			return undefined
		}
		throw error
	}
}

const upright = (type: InputType, width: number, height: number, orientation = 1): Inspected | undefined => {
	const isTurned = orientation >= 5
	return width > 0 && height > 0 ? { type, width: isTurned ? height : width, height: isTurned ? width : height } : undefined
}

const text = (view: DataView, at: number, length: number): string =>
	String.fromCharCode(...Array.from({ length }, (_, i) => view.getUint8(at + i)))

/** Chunk types as they are read. */
const [IDAT, PNG_EXIF, WEBP_EXIF] = [0x49444154, 0x65584966, 0x45584946]

/** What JPEG has before its Exif. */
const hasPrefix = (view: DataView, at: number) => view.getUint32(at) === 0x45786966 && view.getUint16(at + 4) === 0

/** PNG (third edition), §5 and §11.3.4.5. */
function png(view: DataView): Inspected | undefined {
	if (view.getUint32(0) !== 0x89504e47 || text(view, 12, 4) !== 'IHDR') {
		return undefined
	}
	let orientation: number | undefined
	for (let at = 8; at + 8 <= view.byteLength; at += 12 + view.getUint32(at)) {
		const type = view.getUint32(at + 4)
		if (type === PNG_EXIF) {
			orientation ??= orientationOf(view, at + 8)
		}
		if (type === IDAT) {
			break
		}
	}
	return upright('image/png', view.getUint32(16), view.getUint32(20), orientation)
}

/** ITU-T T.81, annex B: a JPEG's segments up to its frame header; gives where that is, and each that comes before it to `pass`. */
export function frameOf(view: DataView, pass = (_marker: number, _at: number) => {}): number | undefined {
	for (let at = 2; view.getUint8(at) === 0xff; ) {
		const marker = view.getUint8(at + 1)
		if (marker === 0xff) {
			at += 1 // Fill.
			continue
		}
		if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
			return at
		}
		pass(marker, at)
		at += 2 + view.getUint16(at + 2)
	}
	return undefined
}

/** The frame header has the size. */
function jpeg(view: DataView): Inspected | undefined {
	if (view.getUint16(0) !== 0xffd8) {
		return undefined
	}
	let orientation: number | undefined
	const frame = frameOf(view, (marker, at) => {
		if (marker === 0xe1 && hasPrefix(view, at + 4)) {
			orientation ??= orientationOf(view, at + 10)
		}
	})
	return frame === undefined
		? undefined
		: upright('image/jpeg', view.getUint16(frame + 7), view.getUint16(frame + 5), orientation)
}

function gif(view: DataView): Inspected | undefined {
	return /^GIF8[79]a$/.test(text(view, 0, 6)) ? upright('image/gif', view.getUint16(6, true), view.getUint16(8, true)) : undefined
}

/** RFC 9649, §2. Only the extended format has metadata, after the picture. */
function webp(view: DataView): Inspected | undefined {
	if (text(view, 0, 4) !== 'RIFF' || text(view, 8, 4) !== 'WEBP') {
		return undefined
	}
	switch (text(view, 12, 4)) {
		case 'VP8 ':
			return upright('image/webp', view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff)
		case 'VP8L': {
			const bits = view.getUint32(21, true)
			return upright('image/webp', 1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff))
		}
		case 'VP8X': {
			const side = (at: number) => 1 + (view.getUint32(at, true) & 0xff_ffff)
			let orientation: number | undefined
			for (let at = 30; at + 8 <= view.byteLength; ) {
				if (view.getUint32(at) === WEBP_EXIF) {
					// Some writers keep JPEG's prefix.
					orientation ??= orientationOf(view, at + (hasPrefix(view, at + 8) ? 14 : 8))
				}
				const length = view.getUint32(at + 4, true)
				at += 8 + length + (length % 2)
			}
			return upright('image/webp', side(24), (view.getUint32(26, true) >>> 8) + 1, orientation)
		}
		default:
			return undefined
	}
}

/** ISO/IEC 14496-12 and 23008-12: the largest image (a grid is larger than its tiles), as `irot` turns it. */
function avif(view: DataView): Inspected | undefined {
	const [head] = boxes(view, 0, view.byteLength)
	if (head?.type !== 'ftyp' || !/avi[fs]/.test(text(view, 8, Math.min(head.end - 8, 64)))) {
		return undefined
	}
	const meta = boxes(view, 0, view.byteLength).find(({ type }) => type === 'meta')
	const iprp = meta && boxes(view, meta.start + 4, meta.end).find(({ type }) => type === 'iprp')
	const ipco = iprp && boxes(view, iprp.start, iprp.end).find(({ type }) => type === 'ipco')
	let [width, height, isTurned] = [0, 0, false]
	for (const { type, start } of ipco ? boxes(view, ipco.start, ipco.end) : []) {
		if (type === 'ispe') {
			const [w, h] = [view.getUint32(start + 4), view.getUint32(start + 8)]
			;[width, height] = w * h > width * height ? [w, h] : [width, height]
		}
		isTurned ||= type === 'irot' && view.getUint8(start) % 2 === 1
	}
	return upright('image/avif', width, height, isTurned ? 6 : 1)
}

interface Box {
	readonly type: string
	/** Of what it holds. */
	readonly start: number
	readonly end: number
}

/** More of them is no picture, but an attempt at our memory. */
const mostBoxes = 1_000

function boxes(view: DataView, from: number, to: number): Box[] {
	const found: Box[] = []
	for (let at = from; at + 8 <= to && found.length < mostBoxes; at = found.at(-1)!.end) {
		const size = view.getUint32(at)
		// 0: up to the end of the file. Those with 64-bit sizes hold more than we take.
		const end = size === 0 ? to : at + size
		if (end < at + 8 || end > to) {
			break
		}
		found.push({ type: text(view, at + 4, 4), start: at + 8, end })
	}
	return found
}
