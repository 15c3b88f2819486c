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
