import { createHash } from 'node:crypto'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { encodePng } from './encode.ts'
import { toRgb } from './rgb.ts'

test('a PNG has the pixels that went in, and its MD5', async () => {
	const pixels = Uint8Array.from({ length: 5 * 3 * 3 }, (_, i) => (i * 53) % 256)
	const { bytes, contentType, md5 } = await encodePng({ pixels, width: 5, height: 3 })
	const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
	expect(info).toMatchObject({ width: 5, height: 3, channels: 3 })
	expect(new Uint8Array(data)).toEqual(pixels)
	expect(contentType).toBe('image/png')
	expect(md5).toBe(createHash('md5').update(bytes).digest('base64'))
})

test('tensors become bytes, clamped and rounded', () => {
	const red = [-1, 1, -3, 3]
	const green = [0, 0.004, -0.996, 0.5]
	const blue = [0, 0, 0, 0]
	const { pixels, width, height } = toRgb({ data: Float32Array.from([...red, ...green, ...blue]), dims: [3, 2, 2] })
	expect([width, height]).toEqual([2, 2])
	expect([...pixels]).toEqual([0, 128, 128, 255, 128, 128, 0, 1, 128, 255, 191, 128])
	expect(() => toRgb({ data: new Float32Array(4), dims: [1, 2, 2] })).toThrow('expected [3, H, W], got [1, 2, 2]')
})
