import sharp from 'sharp'
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
