import sharp, { type Metadata, type Sharp } from 'sharp'
import type { ModelTasks } from '../../shared/catalog.ts'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { type InputName, inputLimits, type Size } from '../../shared/inputs.ts'
import { covering, takenSize } from '../../shared/size.ts'
import { nearestColour } from './colours.ts'
import { InputUnreadable } from './input-unreadable.ts'
import type { Raster, Rasters } from './raster.ts'

// What is no picture of the formats that the edge lets through is not even tried: SVG and PDF are programs.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({ operation: ['Png', 'Jpeg', 'Webp', 'Nsgif', 'Heif'].map((format) => `VipsForeignLoad${format}`) })

/** Seconds that decoding one input may take. */
const PATIENCE = 20

export type InputFiles = Readonly<Partial<Record<InputName, Uint8Array>>>

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
	const { image, mask, semantic_map } = files
	if (image) {
		const cut = await cutFor('image', image)
		rasters.image = await decodeImage(image, cut)
		if (mask) {
			rasters.mask = await decodeMask(mask, cut)
		}
	}
	if (semantic_map) {
		rasters.semantic_map = await decodeMap(semantic_map, await cutFor('semantic_map', semantic_map), tasks)
	}
	return rasters
}

/** How an input is cut: scaled to `covered`, of which the middle of size `taken` stays. */
interface Cut {
	readonly covered: Size
	readonly taken: Size
}

/** RGB; transparent parts over white. */
async function decodeImage(file: Uint8Array, cut: Cut): Promise<Raster> {
	return draw('image', file, cut, 'lanczos3', (image) => image.flatten({ background: '#ffffff' }))
}

/** White is 255, drawn anew; in a picture with transparent parts, those are, as OpenAI's API has it. */
async function decodeMask(file: Uint8Array, cut: Cut): Promise<Raster> {
	const { hasAlpha } = await look('mask', file)
	const isCutOut = hasAlpha && !(await reading('mask', () => sharp(file, options).stats())).isOpaque
	const { pixels, ...size } = await draw('mask', file, cut, 'nearest', (image) => image.ensureAlpha())
	const mask = new Uint8Array(pixels.length / 4)
	for (let i = 0; i < mask.length; i++) {
		const [r, g, b, alpha] = [0, 1, 2, 3].map((c) => pixels[4 * i + c]!) as [number, number, number, number]
		mask[i] = isCutOut ? 255 - alpha : Math.round((299 * r + 587 * g + 114 * b) / 1000)
	}
	return { pixels: mask, ...size }
}

/** The class whose colour is nearest. */
async function decodeMap(file: Uint8Array, cut: Cut, tasks: ModelTasks): Promise<Raster> {
	const { pixels, ...size } = await draw('semantic_map', file, cut, 'nearest', (image) => image.removeAlpha())
	const classOf = nearestColour(tasks['semantic-synthesis']?.labels.map(({ color }) => color) ?? [])
	const classes = new Uint16Array(pixels.length / 3)
	for (let i = 0; i < classes.length; i++) {
		classes[i] = classOf(pixels[3 * i]!, pixels[3 * i + 1]!, pixels[3 * i + 2]!)
	}
	return { pixels: classes, ...size }
}

/** Of an animation the first frame. Damaged files fail, harmless oddities do not. */
const options = { limitInputPixels: inputLimits.pixels, failOn: 'error', pages: 1 } as const

const look = (name: InputName, file: Uint8Array): Promise<Metadata> => reading(name, () => sharp(file, options).metadata())

async function draw(
	name: InputName,
	file: Uint8Array,
	{ covered, taken }: Cut,
	kernel: 'lanczos3' | 'nearest',
	prepare: (image: Sharp) => Sharp
): Promise<Raster> {
	const left = Math.floor((covered.width - taken.width) / 2)
	const top = Math.floor((covered.height - taken.height) / 2)
	const pixels = await reading(name, () =>
		prepare(sharp(file, options).timeout({ seconds: PATIENCE }).autoOrient().toColourspace('srgb')) // By its colour profile.
			.resize({ ...covered, fit: 'fill', kernel })
			.extract({ left, top, ...taken })
			.raw()
			.toBuffer()
	)
	return { pixels: new Uint8Array(pixels), ...taken }
}

async function reading<T>(name: InputName, read: () => Promise<T>): Promise<T> {
	try {
		return await read()
	} catch (error) {
		throw new InputUnreadable(name, (error as Error).message)
	}
}
