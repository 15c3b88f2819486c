import { createHash } from 'node:crypto'
import sharp from 'sharp'
import type { Rgb } from './rgb.ts'

export interface Encoded {
	readonly bytes: Uint8Array<ArrayBuffer>
	readonly contentType: 'image/png'
	/** Base64, as in Content-MD5. */
	readonly md5: string
}

/** PNG, on libuv's thread pool. Little compression: a worker's time costs more than a few kilobytes. */
export async function encodePng({ pixels, width, height }: Rgb): Promise<Encoded> {
	const png = await sharp(pixels, { raw: { width, height, channels: 3 } })
		.png({ compressionLevel: 3 })
		.toBuffer()
	const bytes = new Uint8Array(png)
	return { bytes, contentType: 'image/png', md5: createHash('md5').update(bytes).digest('base64') }
}
