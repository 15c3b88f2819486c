import { randomBytes } from 'node:crypto'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { PartialImage } from '../../shared/contract/callbacks.ts'
import { encodePartial } from './preview.ts'

test('a partial image keeps its size where that fits, and is shrunk in its own proportions where it does not', async () => {
	const encoded = async (width: number, height: number, pixels: Uint8Array) => {
		const data = await encodePartial({ width, height, pixels })
		PartialImage.parse({ n: 0, index: 0, step: 1, content_type: 'image/webp', data })
		const { width: w, height: h } = await sharp(Buffer.from(data, 'base64')).metadata()
		return [w, h] as const
	}
	expect(await encoded(48, 32, new Uint8Array(48 * 32 * 3))).toEqual([48, 32])
	// Noise compresses worst.
	const [width, height] = await encoded(1200, 600, randomBytes(1200 * 600 * 3))
	expect(width).toBeLessThan(1200)
	expect(width / height).toBeCloseTo(2, 1)
})
