import { createHash } from 'node:crypto'
import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { OutputFormat } from '../../shared/outputs.ts'
import { encodePicture } from './encode.ts'
import { toRgb } from './rgb.ts'

const request = {
	model: 'scenes',
	prompt: '<a> "rot" & \u{1f534}',
	width: 32,
	height: 16,
	steps: 4,
	guidance: 3,
	seed: 7,
	count: 3
}
const pixels = Uint8Array.from({ length: 32 * 16 * 3 }, (_, i) => (i * 53) % 256)
const picture = { pixels, width: 32, height: 16, seed: 9 }

test('a PNG has the pixels that went in, and its MD5', async () => {
	const { bytes, contentType, md5 } = await encodePicture(picture, request)
	const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true })
	expect(info).toMatchObject({ width: 32, height: 16, channels: 3 })
	expect(new Uint8Array(data)).toEqual(pixels)
	expect(contentType).toBe('image/png')
	expect(md5).toBe(createHash('md5').update(bytes).digest('base64'))
})

describe.each(OutputFormat.options)('%s', (format) => {
	const wanted = { ...request, output_format: format }

	test('is what it says', async () => {
		const { bytes, contentType } = await encodePicture(picture, wanted)
		const metadata = await sharp(bytes).metadata()
		expect(contentType).toBe(`image/${format}`)
		expect(format === 'avif' ? metadata.compression : metadata.format).toBe(format === 'avif' ? 'av1' : format)
		expect(metadata).toMatchObject({ width: 32, height: 16 })
	})

	test('says that a model made it, and from what', async () => {
		const { bytes } = await encodePicture(picture, wanted)
		const { xmpAsString, exif } = await sharp(bytes).metadata()
		expect(xmpAsString).toContain(
			'<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia</Iptc4xmpExt:DigitalSourceType>'
		)
		const [, embedded] = /<rdf:li xml:lang="x-default">(.*)<\/rdf:li>/.exec(xmpAsString!)!
		const json = embedded!.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&')
		expect(JSON.parse(json)).toEqual({ ...wanted, seed: 9, count: 1 })
		expect(exif!.toString('latin1')).toContain(json)
	})

	test('says that a model edited it where the rest is the client’s', async () => {
		const image = 'upl_00000000000000000000000000'
		const sourceOf = async (task: 'inpainting' | 'image-to-image') => {
			const { bytes } = await encodePicture(picture, { ...wanted, task, image })
			const { xmpAsString } = await sharp(bytes).metadata()
			return /digitalsourcetype\/(\w+)/.exec(xmpAsString!)![1]
		}
		expect(await sourceOf('inpainting')).toBe('compositeWithTrainedAlgorithmicMedia')
		// Drawn anew from one side to the other.
		expect(await sourceOf('image-to-image')).toBe('trainedAlgorithmicMedia')
	})

	// An ampersand takes five letters in XML.
	test.each(['ü', '&'])('has nothing of a request that is too long for it, but that a model made it: %s', async (letter) => {
		const { bytes } = await encodePicture(picture, {
			...wanted,
			prompt: letter.repeat(10_000),
			negative_prompt: letter.repeat(5_000)
		})
		expect((await sharp(bytes).metadata()).xmpAsString).toContain('trainedAlgorithmicMedia')
		expect(bytes.length).toBeLessThan(10_000)
	})
})

describe('a PNG has its parameters as AUTOMATIC1111 writes them', () => {
	const settings = 'Steps: 4, CFG scale: 3, Seed: 9, Size: 32x16, Model: scenes, RNG: CPU'
	const parametersOf = async (more: Partial<ResolvedRequest>) => {
		const { bytes } = await encodePicture(picture, { ...request, prompt: 'a cube', ...more })
		return (await sharp(bytes).metadata()).comments
	}
	const saying = (...lines: string[]) => [{ keyword: 'parameters', text: lines.join('\n') }]

	test.each<[string, Partial<ResolvedRequest>, string[]]>([
		['a prompt', {}, ['a cube', settings]],
		['none', { prompt: '' }, [settings]],
		['one of more than ASCII', { prompt: '„Würfel“ \u{1f534}' }, ['„Würfel“ \u{1f534}', settings]],
		['a negative one', { negative_prompt: 'grey' }, ['a cube', 'Negative prompt: grey', settings]],
		['one that is empty', { negative_prompt: '' }, ['a cube', settings]],
		[
			'lines and control characters',
			{ prompt: 'a\r\n\nred\tcube\0\u2028\x7f\x9b', negative_prompt: '\n' },
			['a red cube', settings]
		],
		['half a letter', { prompt: 'a \ud800' }, ['a \ufffd', settings]],
		[
			'what would be taken for other parts',
			{ prompt: 'Negative prompt: a\nSteps: 1, Seed: 2, Size: 8x8', negative_prompt: 'b\nNegative prompt: c' },
			['Negative prompt : a Steps: 1, Seed: 2, Size: 8x8', 'Negative prompt: b Negative prompt : c', settings]
		]
	])('%s', async (_, more, lines) => {
		expect(await parametersOf(more)).toEqual(saying(...lines))
	})

	test('the rest', async () => {
		const more = { sampler: 'dpm++-2m-karras', guidance: 7.5, image_guidance: 1.5, strength: 0.6 } as const
		expect(await parametersOf(more)).toEqual(
			saying(
				'a cube',
				'Steps: 4, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Image CFG scale: 1.5, Seed: 9, Size: 32x16, Model: scenes, Denoising strength: 0.6, RNG: CPU'
			)
		)
	})
})

test('a PNG has its XMP in the chunk that its specification names, as text', async () => {
	const { bytes } = await encodePicture(picture, request)
	// Keyword, neither compressed nor of any language, no translated keyword; then the packet.
	expect(Buffer.from(bytes).includes('iTXtXML:com.adobe.xmp\0\0\0\0\0<?xpacket begin="\ufeff"')).toBe(true)
})

// Exif 3.0, §4.6.5. sharp reads it of these two.
test.each(['png', 'jpeg'] as const)('%s has 72 pixels an inch, as what has no size on paper', async (output_format) => {
	const { bytes } = await encodePicture(picture, { ...request, output_format })
	expect((await sharp(bytes).metadata()).density).toBe(72)
})

// Exif 3.0, §4.6.6.A: tag A001, one SHORT, 1 for sRGB.
test.each(['png', 'jpeg', 'webp', 'avif'] as const)('%s says that its colours are sRGB', async (output_format) => {
	const { bytes } = await encodePicture(picture, { ...request, output_format })
	const { exif } = await sharp(bytes).metadata()
	expect(exif!.toString('hex')).toContain('01a003000100000001000000')
})

test.each(['webp', 'jpeg', 'avif'] as const)('%s is the larger, the higher its quality', async (output_format) => {
	const sizeAt = async (output_quality: number) =>
		(await encodePicture(picture, { ...request, output_format, output_quality })).bytes.length
	expect(await sizeAt(90)).toBeGreaterThan(await sizeAt(20))
})

test('tensors become bytes, clamped and rounded', () => {
	const red = [-1, 1, -3, 3]
	const green = [0, 0.004, -0.996, 0.5]
	const blue = [0, 0, 0, 0]
	const { pixels, width, height } = toRgb({ data: Float32Array.from([...red, ...green, ...blue]), dims: [3, 2, 2] })
	expect([width, height]).toEqual([2, 2])
	expect([...pixels]).toEqual([0, 128, 128, 255, 128, 128, 0, 1, 128, 255, 191, 128])
	// torch rounds each step to float32: (x * 0.5 + 0.5).clamp(0, 1), then numpy (x * 255).round().
	const near = Float32Array.of(-0.054901957511901855, 0.611764669418335, 0.9725489616394043)
	expect([...toRgb({ data: near, dims: [3, 1, 1] }).pixels]).toEqual([120, 206, 252])
	expect(() => toRgb({ data: new Float32Array(4), dims: [1, 2, 2] })).toThrow('expected [3, H, W], got [1, 2, 2]')
})
