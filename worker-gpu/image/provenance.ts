import { crc32 } from 'node:zlib'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'

/** Of the request as XMP has it. One segment of a JPEG holds 65,533 bytes, and a longer one is left out without a word, mark and all. */
const MOST_BYTES = 30_000

/** What a picture says of itself: that it was made by a model, or edited, and how to make it again. */
interface Provenance {
	/** The request for this picture alone, as JSON in ASCII; it can be posted again. Empty where it is too long. */
	readonly json: string
	/** With IPTC's digital source type, and the request. */
	readonly xmp: string
}

/** The term of IPTC's digital source types for what a model made, or for what it edited, as by inpainting. */
export const digitalSource = (isEdited: boolean) =>
	`http://cv.iptc.org/newscodes/digitalsourcetype/${isEdited ? 'compositeWithTrainedAlgorithmicMedia' : 'trainedAlgorithmicMedia'}`

/** The id of the picture that a request paints over: parts of it are in what is drawn. */
export const editedImage = ({ task, image }: ResolvedRequest) => (task === 'inpainting' ? image : undefined)

export function provenanceOf(request: ResolvedRequest, seed: number): Provenance {
	const { partial_images: _, ...drawn } = request
	const whole = JSON.stringify({ ...drawn, seed, count: 1 }).replace(/[^\x20-\x7e]/g, escaped)
	const json = inXml(whole).length <= MOST_BYTES ? whole : ''
	return {
		json,
		xmp: `<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
	<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
		<rdf:Description rdf:about=""
			xmlns:xmp="http://ns.adobe.com/xap/1.0/"
			xmlns:exif="http://ns.adobe.com/exif/1.0/"
			xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
			<xmp:CreatorTool>Darkroom</xmp:CreatorTool>
			<Iptc4xmpExt:DigitalSourceType>${digitalSource(editedImage(request) !== undefined)}</Iptc4xmpExt:DigitalSourceType>
			<exif:UserComment><rdf:Alt><rdf:li xml:lang="x-default">${inXml(json)}</rdf:li></rdf:Alt></exif:UserComment>
		</rdf:Description>
	</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>`
	}
}

/** `png` with a text (PNG, third edition, §11.3.3): in the chunk that every reader knows if it is ASCII, else in the one whose letters none mistakes. */
export const withText = (png: Uint8Array, keyword: string, text: string) =>
	/\P{ASCII}/u.test(text) ? withUtf8(png, keyword, text) : withChunk(png, 'tEXt', `${keyword}\0${text}`)

/** `png` with XMP where its specification wants it (part 3, §1.1.5): in UTF-8, not compressed. libvips compresses it, and Adobe's readers find none. */
export const withXmp = (png: Uint8Array, xmp: string) => withUtf8(png, 'XML:com.adobe.xmp', xmp)

/** Neither compressed nor of any language, and with no translated keyword (§11.3.3.4). */
const withUtf8 = (png: Uint8Array, keyword: string, text: string) => withChunk(png, 'iTXt', `${keyword}\0\0\0\0\0${text}`)

/** `png` with a chunk (§5.3) before its picture. */
function withChunk(png: Uint8Array, type: string, data: string): Uint8Array<ArrayBuffer> {
	const body = Buffer.from(type + data)
	const chunk = Buffer.alloc(body.length + 8)
	chunk.writeUInt32BE(body.length - 4)
	body.copy(chunk, 4)
	chunk.writeUInt32BE(crc32(body), body.length + 4)
	const header = 8 + 25 // The signature and IHDR.
	return new Uint8Array(Buffer.concat([png.subarray(0, header), chunk, png.subarray(header)]))
}

const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`

const inXml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
