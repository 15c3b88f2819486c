import { createHash } from 'node:crypto'
import sharp, { type Sharp } from 'sharp'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { defaultQuality, type OutputFormat, type OutputType, outputType } from '../../shared/outputs.ts'
import type { Sign } from './credentials.ts'
import { infotext } from './infotext.ts'
import { editedImage, provenanceOf, withText, withXmp } from './provenance.ts'
import type { Rgb } from './rgb.ts'

export interface Encoded {
	readonly bytes: Uint8Array<ArrayBuffer>
	readonly contentType: OutputType
	/** Base64, as in Content-MD5. */
	readonly md5: string
	readonly isSigned: boolean
}

/**
 * A picture in the format that its request asks for, on libuv's thread pool. It carries the request for this picture alone and its digital
 * source type as XMP, the request as EXIF too, and in PNG as the text "parameters" that viewers read; with `sign` also a C2PA manifest, as long
 * as its certificate is valid.
 */
export async function encodePicture(
	{ pixels, width, height, seed }: Rgb & { seed: number },
	request: ResolvedRequest,
	sign?: Sign
): Promise<Encoded> {
	const format = request.output_format ?? 'png'
	const { json, xmp } = provenanceOf(request, seed)
	const isPng = format === 'png'
	const image = sharp(pixels, { raw: { width, height, channels: 3 } })
		.withDensity(72)
		.withExif({
			IFD0: { Software: 'Darkroom', ...(json && { ImageDescription: json }) },
			// sRGB. libvips says of every picture that its colours are not calibrated.
			IFD2: { ColorSpace: '1' }
		})
	const encoded = await saved(isPng ? image : image.withXmp(xmp), format, request.output_quality).toBuffer()
	const marked = isPng ? withXmp(encoded, xmp) : new Uint8Array(encoded)
	const plain = isPng && json ? withText(marked, 'parameters', infotext(request, seed)) : marked
	const contentType = outputType(format)
	const signed = await sign?.(plain, contentType, editedImage(request))
	const bytes = signed ?? plain
	return { bytes, contentType, md5: createHash('md5').update(bytes).digest('base64'), isSigned: signed !== undefined }
}

function saved(image: Sharp, format: OutputFormat, quality: number | null | undefined): Sharp {
	switch (format) {
		case 'png':
			// Little compression: a worker's time costs more than a few kilobytes.
			return image.png({ compressionLevel: 3 })
		case 'avif':
			return image.avif({ quality: quality ?? defaultQuality.avif, effort: 2 })
		default:
			return image[format]({ quality: quality ?? defaultQuality[format] })
	}
}
