import { describe, expect, inject, test } from 'vitest'
import { damageOf } from './damage.ts'
import { inspect } from './inspect.ts'

const files = Object.entries(inject('files')).map(
	([name, base64]) => [name, new Uint8Array(Buffer.from(base64, 'base64'))] as const
)
const file = (name: string) => files.find(([other]) => other === name)![1]
const seen = (bytes: Uint8Array) => {
	const picture = inspect(bytes)
	return picture ? damageOf(bytes, picture.type) : 'no picture'
}

describe.each(files)('%s', (name, bytes) => {
	test('is whole, whatever comes behind it', () => {
		expect(seen(bytes)).toBeUndefined()
		const more = [0, 1, 7, 100].map((length) => new Uint8Array(Buffer.concat([bytes, Buffer.alloc(length, 0x41)])))
		expect(more.map(seen)).toEqual(more.map(() => undefined))
	})

	test('is not whole wherever it is cut off before its last pixels', () => {
		// PNG ends with 12 bytes, and GIF with one, that nobody needs.
		const end = bytes.length - (name.endsWith('png') ? 13 : name.endsWith('gif') ? 2 : 1)
		const lengths = Array.from({ length: 40 }, (_, i) => Math.floor((end * (i + 1)) / 40))
		expect(lengths.filter((length) => seen(bytes.slice(0, length)) === undefined)).toEqual([])
	})
})

const changed = (bytes: Uint8Array, at: number, value: number) => bytes.map((byte, i) => (i === at ? value : byte))

test('a PNG with a byte of its pixels, its size or its palette changed has a wrong checksum', () => {
	const png = file('plain.png')
	const idat = Buffer.from(png).indexOf('IDAT')
	for (const at of [19, 24, idat + 4, idat + 10]) {
		expect(seen(changed(png, at, png[at]! ^ 1))).toBe('one with a wrong checksum')
	}
})

test('a JPEG of twelve bits is told', () => {
	const jpeg = file('plain.jpg')
	const frame = Buffer.from(jpeg).indexOf('ffc0', 0, 'hex')
	expect(seen(changed(jpeg, frame + 4, 12))).toBe('one of 12 bits a sample')
})

/** Any bytes may come: it answers, and throws nothing. */
test.each(files)('%s with bytes changed gives no error', (_, bytes) => {
	for (let at = 0; at < Math.min(bytes.length, 600); at++) {
		for (const value of [0x00, 0x01, 0x7f, 0xff]) {
			seen(changed(bytes, at, value))
		}
	}
})

test.each([
	['plain.png', 33, [0, 0, 0, 0, 0x61, 0x41, 0x41, 0x41, 0, 0, 0, 0]],
	['plain.gif', 13, [0x21, 0xf9, 0]],
	['plain.avif', 32, [0, 0, 0, 8, 0x66, 0x72, 0x65, 0x65]]
])('millions of tiny chunks in %s come to an end', (name, from, chunk) => {
	const bytes = Uint8Array.from({ length: 10 * 1024 * 1024 }, (_, at) => chunk[(at - from + 12 * chunk.length) % chunk.length]!)
	bytes.set(file(name).slice(0, from))
	damageOf(bytes, `image/${name.split('.')[1] as 'png'}`)
})
