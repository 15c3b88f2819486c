import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { covering } from '../../shared/size.ts'
import golden from '../golden/inputs.json' with { type: 'json' }
import { lanczos, nearest, type Samples } from './resize.ts'

/** As infra/model-kit/reference/inputs.py makes them. */
const noise = (width: number, height: number, channels: number): Samples => ({
	pixels: Uint8Array.from({ length: width * height * channels }, (_, i) => (i * i * 7 + Math.floor(i / 5)) % 251),
	width,
	height,
	channels
})
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

describe.each(golden.sha256)('$from to $to', ({ from, to, image, cropped, mask }) => {
	const [width, height] = from as [number, number]
	const size = { width: to[0]!, height: to[1]! }
	const whole = { covered: size, taken: size }

	test('an image is resized as by diffusers, bit for bit', async () => {
		expect(sha256(await lanczos(noise(width, height, 3), whole))).toBe(image)
	})

	test('and where its proportions are kept', async () => {
		const covered = covering('image-to-image', { width, height }, size)
		expect(sha256(await lanczos(noise(width, height, 3), { covered, taken: size }))).toBe(cropped)
	})

	test('and a mask', async () => {
		const grey = await lanczos(noise(width, height, 1), whole)
		expect(sha256(grey.map((value) => (value < 127.5 ? 0 : 255)))).toBe(mask)
	})

	test('the middle alone is the middle of the whole', async () => {
		const taken = { width: size.width / 2, height: size.height / 4 }
		const all = await lanczos(noise(width, height, 3), whole)
		const part = await lanczos(noise(width, height, 3), { covered: size, taken })
		const [left, top] = [size.width / 4, Math.floor((size.height * 3) / 8)]
		const expected = Array.from({ length: taken.height }, (_, y) => {
			const at = ((top + y) * size.width + left) * 3
			return [...all.subarray(at, at + taken.width * 3)]
		})
		expect([...part]).toEqual(expected.flat())
	})
})

test('a line is not made as long as its other side asks for', async () => {
	const line = { ...noise(1, 65_535, 3), pixels: new Uint8Array(3 * 65_535).fill(7) }
	const cut = { covered: { width: 64, height: 64 * 65_535 }, taken: { width: 64, height: 64 } }
	expect(new Set(await lanczos(line, cut))).toEqual(new Set([7]))
})

test('what has no middle is that of the nearest place', () => {
	const samples = { pixels: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9), width: 3, height: 3, channels: 1 }
	const at = (side: number, taken: number) =>
		nearest(samples, { covered: { width: side, height: side }, taken: { width: taken, height: taken } })
	expect([...at(1, 1)]).toEqual([5])
	expect([...at(2, 2)]).toEqual([1, 3, 7, 9])
	expect([...at(6, 2)]).toEqual([5, 5, 5, 5])
	expect([...at(3, 1)]).toEqual([5])
})
