import { crc32, deflateSync } from 'node:zlib'
import sharp, { type Sharp } from 'sharp'
import { describe, expect, test } from 'vitest'
import { decodeInputs } from './decode.ts'
import type { Raster } from './raster.ts'

const request = {
	model: 'scenes',
	task: 'image-to-image' as const,
	prompt: '',
	width: 64,
	height: 64,
	steps: 1,
	guidance: 1,
	seed: 0,
	count: 1
}
/** Left half red, right half blue; the top quarter green. */
const parts = (width: number, height: number) =>
	Uint8Array.from({ length: width * height * 3 }, (_, i) => {
		const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3]
		const colour = y < height / 4 ? [0, 200, 0] : x < width / 2 ? [200, 0, 0] : [0, 0, 200]
		return colour[c]!
	})
const picture = (width = 64, height = 64) => sharp(parts(width, height), { raw: { width, height, channels: 3 } })
const file = async (image: Sharp) => new Uint8Array(await image.toBuffer())
const decode = async (image: Uint8Array, fields = {}) => (await decodeInputs({ ...request, ...fields }, {}, { image })).image!
const pixel = ({ pixels, width, height }: Raster, x: number, y: number) => {
	const channels = pixels.length / width / height
	return [...pixels.subarray((y * width + x) * channels, (y * width + x + 1) * channels)]
}
const word = (value: number) => Buffer.from(value.toString(16).padStart(8, '0'), 'hex')
const words = (...parts: (string | number)[]) =>
	Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : word(part))))
/** A PNG of greys that are in proportion to the light: its profile (ICC.1, §7) says so. */
function ofLight(png: Uint8Array): Uint8Array {
	const white = [0xf6d6, 0x10000, 0xd32d]
	const head = words(188, 0, 0x0240_0000, 'mntrGRAYXYZ ', 0, 0, 0, 'acsp', ...Array(7).fill(0), ...white, ...Array(12).fill(0))
	const profile = Buffer.concat([head, words(2, 'wtpt', 156, 20, 'kTRC', 176, 12, 'XYZ ', 0, ...white, 'curv', 0, 0)])
	const chunk = Buffer.concat([words('iCCPgrey\0\0'), deflateSync(profile)])
	return Buffer.concat([png.subarray(0, 33), words(chunk.length - 4), chunk, words(crc32(chunk)), png.subarray(33)])
}
/** Within what a lossy format loses. */
const near = (got: number[], expected: number[], tolerance = 12) => {
	expect(Math.max(...got.map((value, i) => Math.abs(value - expected[i]!)))).toBeLessThanOrEqual(tolerance)
}
/** Green above, red on the left, blue on the right. */
const isUpright = (raster: Raster, tolerance?: number) => {
	const { width, height } = raster
	near(pixel(raster, width / 2, 4), [0, 200, 0], tolerance)
	near(pixel(raster, 8, height - 8), [200, 0, 0], tolerance)
	near(pixel(raster, width - 8, height - 8), [0, 0, 200], tolerance)
}

describe('images', () => {
	test('as large as the picture come through bit for bit', async () => {
		expect(await decode(await file(picture().png()))).toEqual({ pixels: parts(64, 64), width: 64, height: 64 })
	})

	test.each([
		['JPEG', () => picture().jpeg({ quality: 95 })],
		['WebP', () => picture().webp({ quality: 95 })],
		['AVIF', () => picture().avif({ quality: 90, effort: 0 })],
		['GIF', () => picture().gif()],
		['a 16-bit PNG', () => picture().toColourspace('rgb16').png()],
		['a PNG with a palette', () => picture().png({ palette: true })]
	])('in %s', async (_, make) => {
		isUpright(await decode(await file(make())))
	})

	test('in a JPEG in CMYK, which can print no such colours but those near them', async () => {
		const raster = await decode(await file(picture().toColourspace('cmyk').withIccProfile('cmyk').jpeg({ quality: 95 })))
		expect((await sharp(await file(picture().toColourspace('cmyk').jpeg())).metadata()).space).toBe('cmyk')
		const [red, , blue] = pixel(raster, 8, 56) as [number, number, number]
		expect(red - blue).toBeGreaterThan(100)
		const [left, , right] = pixel(raster, 56, 56) as [number, number, number]
		expect(right - left).toBeGreaterThan(50)
	})

	test.each([1, 2, 3, 4, 5, 6, 7, 8])('of EXIF orientation %i stand upright', async (orientation) => {
		// What a camera stores that was held so: the upright picture, moved the other way.
		const turn = { 3: 180, 4: 180, 5: 90, 6: 270, 7: 270, 8: 90 }[orientation] ?? 0
		const turned = await picture(64, 96).rotate(turn).png().toBuffer()
		const isMirrored = [2, 4, 5, 7].includes(orientation)
		const bare = await sharp(turned).flop(isMirrored).png().toBuffer()
		const image = await file(sharp(bare).withMetadata({ orientation }).jpeg({ quality: 95 }))
		const raster = await decode(image, { width: 64, height: 96 })
		expect(raster).toMatchObject({ width: 64, height: 96 })
		isUpright(raster)
	})

	test.each(['srgb', 'rgb16'] as const)('follow their colour profile: %s', async (space) => {
		const red = sharp({ create: { width: 64, height: 64, channels: 3, background: { r: 200, g: 60, b: 60 } } })
		for (const profile of ['p3', 'srgb']) {
			const image = await file(red.clone().toColourspace(space).withIccProfile(profile).png())
			expect(await sharp(image).metadata()).toMatchObject({ space, hasProfile: true })
			// Numbers of P3 are others than sRGB's; the colour is the same.
			const [stored] = await sharp(image, { ignoreIcc: true }).raw().toBuffer()
			near([stored!], [profile === 'p3' ? 185 : 200], 2)
			near(pixel(await decode(image), 32, 32), [200, 60, 60], 2)
		}
	})

	test.each(['b-w', 'grey16'] as const)('follow it where they are grey: %s', async (space) => {
		const grey = sharp({ create: { width: 64, height: 64, channels: 3, background: '#808080' } })
		const image = ofLight(await file(grey.toColourspace(space).png()))
		expect(await sharp(image).metadata()).toMatchObject({ space, hasProfile: true })
		// Half of the light (IEC 61966-2-1).
		near(pixel(await decode(image), 32, 32), [188, 188, 188], 1)
	})

	test('with transparent parts lie on white', async () => {
		const clear = await file(picture().ensureAlpha(0.5).png())
		near(pixel(await decode(clear), 8, 56), [228, 128, 128], 2)
	})

	test('that move show their first frame', async () => {
		const frames = [picture(), picture().negate()]
		const pages = await Promise.all(frames.map((frame) => frame.png().toBuffer()))
		for (const format of ['gif', 'webp'] as const) {
			isUpright(await decode(await file(sharp(pages, { join: { animated: true } })[format]({ effort: 1 }))))
		}
	})

	test('of an AVIF that moves are its still one', async () => {
		const still = await file(picture().avif({ quality: 90, effort: 0 }))
		expect(Buffer.from(still).toString('latin1', 4, 12)).toBe('ftypavif')
		const moving = Uint8Array.from(Buffer.from(still).fill('avis', 8, 12))
		expect(await decode(moving)).toEqual(await decode(still))
	})

	test('of other proportions are covered and cut in the middle', async () => {
		const raster = await decode(await file(picture(256, 64).png()), { width: 64, height: 64 })
		// Of the 256 columns the 64 in the middle are left, half of them red.
		near(pixel(raster, 28, 60), [200, 0, 0])
		near(pixel(raster, 36, 60), [0, 0, 200])
	})

	test('of other sizes are scaled', async () => {
		for (const [width, height] of [
			[640, 640],
			[16, 16]
		] as const) {
			isUpright(await decode(await file(picture(width, height).png())), 25)
		}
	})
})

describe('masks', () => {
	const mask = async (image: Sharp, fields = {}) => {
		const files = { image: await file(picture(128, 128).png()), mask: await file(image.png()) }
		return (await decodeInputs({ ...request, task: 'inpainting', ...fields }, {}, files)).mask!
	}
	const white = (width: number, height: number) =>
		sharp({ create: { width: width / 2, height, channels: 3, background: '#ffffff' } }).extend({
			right: width / 2,
			background: '#000000'
		})

	test('are 255 where they are white', async () => {
		const raster = await mask(white(64, 64))
		expect(raster).toMatchObject({ width: 64, height: 64 })
		expect(raster.pixels).toHaveLength(64 * 64)
		expect([pixel(raster, 31, 9), pixel(raster, 32, 9)]).toEqual([[255], [0]])
	})

	test('are 255 where they are transparent, if they are anywhere', async () => {
		const cutOut = sharp({ create: { width: 32, height: 64, channels: 4, background: { r: 255, g: 255, b: 255, alpha: 1 } } })
		const raster = await mask(cutOut.extend({ right: 32, background: { r: 0, g: 0, b: 0, alpha: 0 } }))
		expect([pixel(raster, 31, 9), pixel(raster, 32, 9)]).toEqual([[0], [255]])
		const opaque = await mask(white(64, 64).ensureAlpha())
		expect([pixel(opaque, 31, 9), pixel(opaque, 32, 9)]).toEqual([[255], [0]])
	})

	test('of other sizes have an edge, no ramp, where the image has it', async () => {
		for (const side of [32, 128, 640]) {
			const { pixels } = await mask(white(side, side))
			expect(pixels).toEqual(Uint8Array.from({ length: 64 * 64 }, (_, i) => (i % 64 < 32 ? 255 : 0)))
		}
	})

	test('are what they are nearest to where they are grey, or a JPEG', async () => {
		const grey = (value: number) =>
			sharp({ create: { width: 64, height: 64, channels: 3, background: { r: value, g: value, b: value } } })
		expect(new Set((await mask(grey(127))).pixels)).toEqual(new Set([0]))
		expect(new Set((await mask(grey(128))).pixels)).toEqual(new Set([255]))
		const lossy = sharp(await white(64, 64).jpeg({ quality: 30 }).toBuffer())
		expect((await mask(lossy)).pixels).toEqual((await mask(white(64, 64))).pixels)
	})

	test('that are nowhere so much as half transparent count by how white they are', async () => {
		const almost = white(64, 64).ensureAlpha(254 / 255)
		expect((await sharp(await almost.clone().png().toBuffer()).stats()).isOpaque).toBe(false)
		expect((await mask(almost)).pixels).toEqual((await mask(white(64, 64))).pixels)
	})

	test('that cover nothing are told of', async () => {
		const all = (background: string) => mask(sharp({ create: { width: 64, height: 64, channels: 3, background } }))
		// It is black and white that count, not colours.
		expect((await all('#000000')).warning).toMatchObject({ code: 'mask-empty' })
		expect((await all('#ff0000')).warning).toMatchObject({ code: 'mask-empty' })
		expect(await all('#ffffff')).not.toHaveProperty('warning')
	})

	test('lie over their image, whatever their own size', async () => {
		const raster = await mask(white(30, 10), { width: 64, height: 128 })
		// The image is cut to its middle half, and so is the mask.
		expect([pixel(raster, 31, 100), pixel(raster, 32, 100)]).toEqual([[255], [0]])
	})
})

test('an image to enlarge is not scaled, but cut to the size that becomes the picture', async () => {
	const image = await file(picture(70, 67).png())
	const tasks = { 'super-resolution': { factor: 4 } }
	const wanted = { ...request, task: 'super-resolution' as const, width: 256, height: 256 }
	const raster = (await decodeInputs(wanted, tasks, { image })).image!
	expect(raster).toMatchObject({ width: 64, height: 64 })
	const whole = { pixels: parts(70, 67), width: 70, height: 67 }
	expect(pixel(raster, 0, 63)).toEqual(pixel(whole, 3, 64))
	expect(pixel(raster, 63, 0)).toEqual(pixel(whole, 66, 1))
})

test('a semantic map becomes the numbers of the classes whose colours are nearest', async () => {
	const labels = ['#000000', '#0000ff', '#fa0505', '#00c800'].map((color) => ({ name: color, color }))
	const tasks = { 'semantic-synthesis': { labels } }
	const wanted = { ...request, task: 'semantic-synthesis' as const }
	const map = async (image: Sharp) => (await decodeInputs(wanted, tasks, { semantic_map: await file(image) })).semantic_map!
	for (const raster of [await map(picture().png()), await map(picture(160, 160).jpeg({ quality: 90 }))]) {
		expect(raster.pixels).toBeInstanceOf(Uint16Array)
		expect([pixel(raster, 32, 4), pixel(raster, 8, 56), pixel(raster, 56, 56)]).toEqual([[3], [2], [1]])
	}
})

test('a semantic map in other colours is told of', async () => {
	const labels = ['#0000c8', '#c80000', '#00c800'].map((color) => ({ name: color, color }))
	const tasks = { 'semantic-synthesis': { labels } }
	const wanted = { ...request, task: 'semantic-synthesis' as const }
	const warning = async (image: Sharp) =>
		(await decodeInputs(wanted, tasks, { semantic_map: await file(image) })).semantic_map!.warning
	expect(await warning(picture().png())).toBeUndefined()
	expect(await warning(picture(160, 160).jpeg({ quality: 40 }))).toBeUndefined()
	expect(await warning(picture().negate().png())).toEqual({
		code: 'map-colours',
		detail: expect.stringMatching(/^Of the semantic map's pixels 100 % have no colour of the model's classes/)
	})
})

test('what cannot be decoded is the client’s fault, by the name of the input', async () => {
	const noise = sharp(
		Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (i * i * 7) % 251),
		{ raw: { width: 64, height: 64, channels: 3 } }
	)
	const [jpeg, progressive, webp, png] = await Promise.all(
		[noise.clone().jpeg(), noise.clone().jpeg({ progressive: true }), noise.clone().webp(), noise.clone().png()].map(file)
	)
	const half = (bytes: Uint8Array | undefined) => bytes!.slice(0, bytes!.length / 2)
	const bomb = png!.slice()
	new DataView(bomb.buffer).setUint32(16, 60_000)
	new DataView(bomb.buffer).setUint32(20, 60_000)
	const svg = new TextEncoder().encode(
		'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="9" height="9"/></svg>'
	)
	const tiff = await file(picture().tiff())
	const cutOff = [jpeg, progressive, webp, png].map(half)
	for (const image of [...cutOff, bomb, svg, tiff, new Uint8Array(), new Uint8Array(1_000).fill(7)]) {
		await expect(decode(image)).rejects.toMatchObject({
			name: 'InputUnreadable',
			message: expect.stringMatching(/^image: expected/)
		})
	}
})

test('what is wrong with an AVIF is told, not how libheif looked for it', async () => {
	const still = await file(picture().avif({ quality: 90, effort: 0 }))
	await expect(decode(still.fill(0, Buffer.from(still).indexOf('mdat') + 4))).rejects.toThrow(
		/got one that cannot be read \(heif: /
	)
})

describe('a JPEG', () => {
	/** Grey, 64 × 64, its coefficients one after the other and bit by bit: each scan says in one code that all blocks are as they were. */
	function inScans(count: number): Uint8Array {
		const segment = (marker: number, ...body: number[]) => [0xff, marker, 0, body.length + 2, ...body]
		const table = (id: number, symbol: number) => segment(0xc4, id, 1, ...Array(15).fill(0), symbol)
		const scan = (band: number, before: number, after: number) => segment(0xda, 1, 1, 0, band, band, (before << 4) | after)
		const bits = Array.from({ length: 14 }, (_, i) => [i && 14 - i, 13 - i] as const)
		const scans = bits.flatMap(([before, after]) => Array.from({ length: 63 }, (_, i) => [...scan(i + 1, before, after), 0x01]))
		return Uint8Array.from([
			...[0xff, 0xd8],
			...segment(0xdb, 0, ...Array(64).fill(1)),
			...segment(0xc2, 8, 0, 64, 0, 64, 1, 1, 0x11, 0),
			...table(0x00, 0x00),
			...table(0x10, 0x60),
			...[...scan(0, 0, 0), ...Array(8).fill(0)],
			...scans.slice(0, count - 1).flat(),
			...[0xff, 0xd9]
		])
	}

	test('of a hundred scans is read, and one of more refused: thousands would take seconds', async () => {
		// Phones put more pictures behind the one that is meant.
		for (const pictures of [1, 200]) {
			const whole = Buffer.concat(Array(pictures).fill(inScans(100)))
			expect(new Set((await decode(whole)).pixels)).toEqual(new Set([128]))
		}
		await expect(decode(inScans(101))).rejects.toMatchObject({
			name: 'InputUnreadable',
			message: expect.stringContaining('a JPEG of 101 scans, which are 100 at most')
		})
		await expect(decode(inScans(800))).rejects.toThrow('a JPEG of 800 scans')
	})

	test.each([{ progressive: true }, { progressive: false }])(
		'has its scans counted past what its own thumbnail has: %o',
		async (how) => {
			const thumbnails = Buffer.concat(Array(70).fill(inScans(100))).subarray(0, 60_000)
			const length = Buffer.from([(thumbnails.length + 2) >> 8, (thumbnails.length + 2) & 255])
			const jpeg = await file(picture().jpeg({ quality: 95, ...how }))
			isUpright(
				await decode(Buffer.concat([jpeg.subarray(0, 2), Buffer.from([0xff, 0xec]), length, thumbnails, jpeg.subarray(2)]))
			)
		}
	)
})

test('what steers is scaled and cropped as an image is, and black where it is transparent', async () => {
	const decodeBoth = async (image: Sharp) => {
		const bytes = await file(image)
		return decodeInputs(request, {}, { image: bytes, control_image: bytes })
	}
	const { image, control_image } = await decodeBoth(picture(96, 128).png())
	expect(control_image).toEqual(image)
	const clear = sharp({ create: { width: 64, height: 64, channels: 4, background: '#00000000' } }).png()
	const over = await decodeBoth(clear)
	expect([pixel(over.image!, 0, 0), pixel(over.control_image!, 0, 0)]).toEqual([
		[255, 255, 255],
		[0, 0, 0]
	])
})
