import sharp, { type Metadata, type Sharp } from 'sharp'
import type { ModelTasks } from '../../shared/catalog.ts'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { inputLimits } from '../../shared/input-limits.ts'
import type { InputName } from '../../shared/inputs.ts'
import { covering, takenSize } from '../../shared/size.ts'
import { nearestColour } from './colours.ts'
import { InputUnreadable } from './input-unreadable.ts'
import type { Raster, Rasters } from './raster.ts'
import { type Cut, lanczos, nearest, type Samples } from './resize.ts'

// What is no picture of the formats that the edge lets through is not even tried: SVG and PDF are programs.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({ operation: ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Heif'].map((format) => `VipsForeignLoad${format}`) })

type InputFiles = Readonly<Partial<Record<InputName, Uint8Array>>>

/**
 * A request's inputs from their files: upright, in sRGB, as large as the task takes them. Images are scaled until they cover that, and their
 * middle is cut out (edge/inputs/warnings.ts tells the client); a mask lies over its image. Throws `InputUnreadable`.
 *
 * @param tasks what the catalog says of the model's
 */
export async function decodeInputs(request: ResolvedRequest, tasks: ModelTasks, files: InputFiles): Promise<Rasters> {
	const task = request.task ?? 'text-to-image'
	const taken = takenSize({ tasks }, request)
	const cutFor = async (name: InputName, file: Uint8Array): Promise<Cut> => {
		const { autoOrient } = await look(name, file)
		return { covered: covering(task, autoOrient, taken), taken }
	}
	const rasters: { -readonly [Name in InputName]?: Raster } = {}
	const { image, mask, semantic_map, control_image } = files
	if (image) {
		const cut = await cutFor('image', image)
		rasters.image = await decodeImage('image', image, cut, '#ffffff')
		if (mask) {
			rasters.mask = await decodeMask(mask, cut)
		}
	}
	if (semantic_map) {
		rasters.semantic_map = await decodeMap(semantic_map, await cutFor('semantic_map', semantic_map), tasks)
	}
	if (control_image) {
		// Where nothing was seen, such maps are black.
		const cut = await cutFor('control_image', control_image)
		rasters.control_image = await decodeImage('control_image', control_image, cut, '#000000')
	}
	return rasters
}

/** RGB; transparent parts over the background. */
async function decodeImage(name: InputName, file: Uint8Array, cut: Cut, background: string): Promise<Raster> {
	const flat = (image: Sharp) => image.flatten({ background })
	return { pixels: await withSamples(name, file, flat, (samples) => lanczos(samples, cut)), ...cut.taken }
}

/** 255 where it is drawn anew: what is white; in a picture with transparent parts, what is transparent, as OpenAI's API has it. */
async function decodeMask(file: Uint8Array, cut: Cut): Promise<Raster> {
	const grey = await withSamples(
		'mask',
		file,
		(image) => image.ensureAlpha(),
		(samples) => lanczos(greyOf(samples), cut)
	)
	const pixels = grey.map((value) => (value < 127.5 ? 0 : 255))
	return { pixels, ...cut.taken, ...(!pixels.includes(255) && { warning: nothingAnew }) }
}

const nothingAnew = {
	code: 'mask-empty',
	detail: 'The mask is nowhere white, nor transparent, where the picture is: there is nothing to draw anew.'
}

/** Transparent parts, unless nothing is so much as half transparent: then how white it is. */
function greyOf({ pixels, ...size }: Samples): Samples {
	const grey = new Uint8Array(pixels.length / 4)
	let least = 255
	for (let i = 0; i < grey.length; i++) {
		grey[i] = 255 - pixels[4 * i + 3]!
		least = Math.min(least, pixels[4 * i + 3]!)
	}
	if (least >= 128) {
		for (let i = 0; i < grey.length; i++) {
			// As Pillow's convert("L").
			grey[i] = (19_595 * pixels[4 * i]! + 38_470 * pixels[4 * i + 1]! + 7_471 * pixels[4 * i + 2]! + 0x8000) >> 16
		}
	}
	return { ...size, pixels: grey, channels: 1 }
}

/** The class whose colour is nearest. */
async function decodeMap(file: Uint8Array, cut: Cut, tasks: ModelTasks): Promise<Raster> {
	const opaque = (image: Sharp) => image.removeAlpha()
	const pixels = await withSamples('semantic_map', file, opaque, async (samples) => nearest(samples, cut))
	const classOf = nearestColour(tasks['semantic-synthesis']?.labels.map(({ color }) => color) ?? [])
	const classes = new Uint16Array(pixels.length / 3)
	let strange = 0
	for (let i = 0; i < classes.length; i++) {
		const { index, distance } = classOf(pixels[3 * i]!, pixels[3 * i + 1]!, pixels[3 * i + 2]!)
		classes[i] = index
		strange += distance > STRANGE ? 1 : 0
	}
	const share = Math.round((100 * strange) / classes.length)
	return { pixels: classes, ...cut.taken, ...(share > MOST_STRANGE && { warning: otherColours(share) }) }
}

/** As far from all colours that there are, as no lossy format takes a pixel, but for those at edges. */
const STRANGE = 32
/** Percent of the pixels. */
const MOST_STRANGE = 25

const otherColours = (share: number) => ({
	code: 'map-colours',
	detail: `Of the semantic map's pixels ${share} % have no colour of the model's classes, nor one near it; each was taken for the class whose colour is nearest.`
})

/**
 * Of an animation the first frame. Damaged files fail, harmless oddities do not. How long it takes has no limit but that of the pixels: sharp's
 * would be by the wall clock, and call what a busy machine is slow at unreadable, while no JPEG's passes are interrupted by it.
 */
const options = { limitInputPixels: inputLimits.pixels, failOn: 'error', pages: 1 } as const

/** libvips knows an AVIF by its brand, and not that of one that moves. */
function open(file: Uint8Array): Sharp {
	const isMoving = Buffer.from(file.subarray(4, 12)).toString('latin1') === 'ftypavis'
	return sharp(isMoving ? Buffer.from(file).fill('avif', 8, 12) : file, options)
}

const look = (name: InputName, file: Uint8Array): Promise<Metadata> =>
	reading(name, () => {
		const scans = scansOf(Buffer.from(file.buffer, file.byteOffset, file.length))
		if (scans > MOST_SCANS) {
			throw new Error(`a JPEG of ${scans} scans, which are ${MOST_SCANS} at most`)
		}
		return open(file).metadata()
	})

/** libjpeg's own tools write no more, and cameras a tenth. Each is a pass over the whole picture, and thousands of empty ones fit into a hundred kilobytes. */
const MOST_SCANS = 100

/** Of a JPEG, how often its pixels are gone through; markers are found as libjpeg finds them. */
function scansOf(file: Buffer): number {
	let scans = 0
	if (file.length > 4 && file.readUInt16BE(0) === 0xffd8) {
		for (let at = file.indexOf(0xff, 2); at >= 0 && at + 4 <= file.length; at = file.indexOf(0xff, at)) {
			const marker = file[at + 1]!
			if (marker === 0xd9) {
				break
			}
			scans += marker === 0xda ? 1 : 0
			// Fill bytes; a byte of data that is 0xff, and markers of which nothing follows; all others say how long they are.
			const isBare = marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8)
			at += marker === 0xff ? 1 : isBare ? 2 : 2 + file.readUInt16BE(at + 2)
		}
	}
	return scans
}

/** Pixels of a picture that is read while no other such is: at its largest it takes 200 MB, and where it is an AVIF of 12 bits 800. */
const LARGE = 4 * 1024 * 1024
let lastOfLarge: Promise<unknown> = Promise.resolve()

/** What `use` makes of a file's samples: all of them, upright, in sRGB by its colour profile. */
async function withSamples<T>(
	name: InputName,
	file: Uint8Array,
	prepare: (image: Sharp) => Sharp,
	use: (samples: Samples) => Promise<T>
): Promise<T> {
	const { width, height, space } = await look(name, file)
	const work = async () => {
		const image = prepare(inBytes(open(file), space).autoOrient().toColourspace('srgb'))
		const { data, info } = await reading(name, () => image.raw().toBuffer({ resolveWithObject: true }))
		return use({ ...info, pixels: new Uint8Array(data.buffer, data.byteOffset, data.length) })
	}
	if (width * height <= LARGE) {
		return work()
	}
	const mine = lastOfLarge.then(work)
	lastOfLarge = mine.catch(() => {})
	return mine
}

/** Samples of 16 bits made 8 first: sharp brings those to another profile than sRGB, Display P3, and leaves it at that; a grey's profile it passes over. */
const inBytes = (image: Sharp, space: string) =>
	space === 'rgb16' ? image.pipelineColourspace('srgb') : space === 'grey16' ? image.pipelineColourspace('b-w') : image

async function reading<T>(name: InputName, read: () => Promise<T>): Promise<T> {
	try {
		return await read()
	} catch (error) {
		throw new InputUnreadable(name, (error as Error).message)
	}
}
