import { describe, expect, inject, test } from 'vitest'
import { inspect } from './inspect.ts'

const files = Object.entries(inject('files')).map(
	([name, base64]) => [name, new Uint8Array(Buffer.from(base64, 'base64'))] as const
)
const plain = files.find(([name]) => name === 'plain.png')![1]

test.each(files)('%s has its type and its size upright', (name, bytes) => {
	const size = name === 'mask.png' ? { width: 30, height: 20 } : { width: 60, height: 40 }
	expect(inspect(bytes)).toEqual({ type: `image/${name.split('.')[1]!.replace('jpg', 'jpeg')}`, ...size })
})

describe('what is no picture of ours', () => {
	const text = (content: string) => new TextEncoder().encode(content)
	test.each([
		['nothing', new Uint8Array()],
		['a few bytes', plain.slice(0, 12)],
		['SVG', text('<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"/>')],
		['a PNG with no width', plain.map((byte, at) => (at >= 16 && at < 20 ? 0 : byte))],
		['TIFF', text(`II*\0${'\0'.repeat(40)}`)],
		['BMP', text(`BM${'\0'.repeat(60)}`)],
		['a HEIC', text(`\0\0\0\x18ftypheic${'\0'.repeat(40)}`)],
		[
			'a JPEG of segments alone',
			Uint8Array.from({ length: 1_000_000 }, (_, at) => (at < 2 ? [0xff, 0xd8][at]! : [0xff, 0xe0, 0, 2][at % 4]!))
		]
	])('%s', (_, bytes) => {
		expect(inspect(bytes)).toBeUndefined()
	})
})

/** Any bytes may come: it answers, and throws nothing. */
test.each(files)('%s, cut off and with bytes changed, gives no error', (_, bytes) => {
	for (let at = 0; at < Math.min(bytes.length, 600); at++) {
		inspect(bytes.slice(0, at))
		for (const value of [0x00, 0x01, 0x7f, 0xff]) {
			const changed = bytes.slice()
			changed[at] = value
			inspect(changed)
		}
	}
})

test.each([
	['PNG', 'plain.png', [0, 0, 0, 0]],
	['WebP', 'on-its-side.webp', [0x41, 0x42, 0x43, 0x44, 0, 0, 0, 0]],
	['AVIF', 'plain.avif', [0, 0, 0, 8, 0x66, 0x72, 0x65, 0x65]]
])('millions of tiny chunks in a %s come to an end', (_, name, chunk) => {
	const head = files.find(([other]) => other === name)![1]
	const bytes = new Uint8Array(10 * 1024 * 1024)
	for (let at = 0; at < bytes.length; at++) {
		bytes[at] = chunk[at % chunk.length]!
	}
	bytes.set(head.slice(0, name.endsWith('png') ? 33 : 30))
	inspect(bytes)
})

/** Little-endian TIFF, whose directory is `away` bytes from its beginning. */
const tiffOf = (away: number) => [0x49, 0x49, 42, 0, ...new Uint8Array(Uint32Array.of(away).buffer)]
const exif = [0x45, 0x78, 0x69, 0x66, 0, 0]

test.each<[string, string, number, (away: number) => number[]]>([
	['a JPEG', 'plain.jpg', 2, (away) => [0xff, 0xe1, 0, 16, ...exif, ...tiffOf(away - 10)]],
	['a PNG', 'plain.png', 33, (away) => [0, 0, 0, 8, 0x65, 0x58, 0x49, 0x66, ...tiffOf(away - 8), 0, 0, 0, 0]],
	['a WebP', 'on-its-side.webp', 30, (away) => [0x45, 0x58, 0x49, 0x46, 8, 0, 0, 0, ...tiffOf(away - 8)]]
])('of the hundreds of thousands of Exifs of %s, which all have one long directory, one is read', (_, name, begins, chunk) => {
	const head = files.find(([other]) => other === name)![1].slice(0, begins)
	const bytes = new Uint8Array(10 * 1024 * 1024)
	const directory = bytes.length - 2 - 12 * 65_535
	bytes.set(head)
	bytes.set([0xff, 0xff], directory)
	for (let at = begins; at + 20 <= directory; at += chunk(0).length) {
		bytes.set(chunk(directory - at), at)
	}
	inspect(bytes)
})
