import sharp from 'sharp'
import { PartialImage } from '../../shared/contract/callbacks.ts'
import type { Rgb } from './rgb.ts'

/** Pixels of the longer side. */
const SIDE = 256

/** A small WebP in base64; latents have few pixels, so they are enlarged. */
export async function encodePreview({ pixels, width, height }: Rgb): Promise<string> {
	const webp = await sharp(pixels, { raw: { width, height, channels: 3 } })
		.resize({ width: SIDE, height: SIDE, fit: 'inside' })
		.webp({ quality: 70 })
		.toBuffer()
	return webp.toString('base64')
}

/** Characters of base64 that one may have. */
const mostText = PartialImage.shape.data.maxLength!

/** A whole picture as WebP in base64; one that would be too long is shrunk until it fits. */
export async function encodePartial({ pixels, width, height }: Rgb): Promise<string> {
	for (let scale = 1; ; scale *= Math.SQRT1_2) {
		const webp = await sharp(pixels, { raw: { width, height, channels: 3 } })
			.resize({ width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)), fit: 'fill' })
			.webp({ quality: 80 })
			.toBuffer()
		const text = webp.toString('base64')
		if (text.length <= mostText) {
			return text
		}
	}
}
