/**
 * `npm run eval:wide`: pictures six times as large as those that the demo models were trained on (the paper's §4.3.2 and §4.5), drawn through our
 * own engine. Writes infra/model-kit/wide.webp: on the left what a model was given, on the right what it drew.
 */
import { join } from 'node:path'
import sharp from 'sharp'
import { findModel } from '../../shared/catalog.ts'
import { readCommandLine } from '../../shared/command-line.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import { startEngine } from '../../worker-gpu/engine/client.ts'
import { root } from '../root.ts'
import { side } from './judge.ts'
import { classesOf } from './reader.ts'
import { type Pixels, readSheet } from './sheets.ts'

readCommandLine(
	'npm run eval:wide: draws pictures six times as large as those of the training, and writes infra/model-kit/wide.webp',
	{}
)
const columns = 3
const rows = 2
const width = columns * side
const height = rows * side
const raw = { width, height, channels: 3 as const }
/** Pixels of a mask on each side of where two scenes meet, and of where four do. */
const [seam, crossing] = [10, 27]

const real = await readSheet('real.webp')
const engine = await startEngine({ models: ['scenes-inpainting', 'scenes-semantic'] })
const sheet: Pixels[] = []
// Six real scenes of one floor, by their numbers, become one picture; there is room for an object where four of them meet.
for (const [floor, scenes, object] of [
	['grey', [31, 62, 66, 73, 82, 128], 'a large shiny red sphere'],
	['white', [0, 22, 23, 42, 91, 107], 'a large matte blue cube']
] as const) {
	const pixels = together(scenes.map((i) => real[i]!))
	const mask = Uint8Array.from({ length: width * height }, (_, at) => (isCovered(at % width, Math.floor(at / width)) ? 255 : 0))
	sheet.push(pixels.map((sample, i) => (mask[Math.floor(i / 3)] ? 128 : sample)))
	const model = findModel('scenes-inpainting')!
	const resolve = requestFor(model, { task: 'inpainting', stored: false, image: { width, height } })
	const request = resolve.parse({
		model: model.id,
		prompt: `${object} on a ${floor} floor`,
		image: 'six scenes',
		mask: 'seams',
		seed: 1
	})
	const { pictures } = await engine.develop(request, {
		inputs: { image: { pixels, width, height }, mask: { pixels: mask, width, height } }
	})
	sheet.push(pictures[0]!.pixels)
}
const map = together((await readSheet('maps.png')).filter((_, i) => [3, 4, 6, 17, 25, 26].includes(i)))
sheet.push(map)
const semantic = findModel('scenes-semantic')!
const resolve = requestFor(semantic, { task: 'semantic-synthesis', stored: false, image: { width, height } })
const { pictures } = await engine.develop(resolve.parse({ model: semantic.id, semantic_map: 'six maps', seed: 1 }), {
	inputs: { semantic_map: { pixels: classesOf(map), width, height } }
})
sheet.push(pictures[0]!.pixels)
await engine.close()

await sharp({ create: { width: 2 * width, height: (sheet.length / 2) * height, channels: 3, background: 'white' } })
	.composite(
		sheet.map((input, i) => ({ input: Buffer.from(input), raw, left: (i % 2) * width, top: Math.floor(i / 2) * height }))
	)
	.webp({ quality: 82, effort: 6 })
	.toFile(join(root, 'infra/model-kit/wide.webp'))

/** Six pictures as one, three to a row. */
function together(pictures: readonly Pixels[]): Pixels {
	return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
		const [x, y] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width)]
		const picture = pictures[Math.floor(y / side) * columns + Math.floor(x / side)]!
		return picture[((y % side) * side + (x % side)) * 3 + (i % 3)]!
	})
}

function isCovered(x: number, y: number): boolean {
	const [across, down] = [toSeam(x, width), toSeam(y, height)]
	return across < seam || down < seam || (across < crossing && down < crossing)
}

/** How far it is to where two pictures meet. */
function toSeam(at: number, end: number): number {
	const nearest = Math.round(at / side) * side
	return nearest > 0 && nearest < end ? Math.abs(at - nearest) : Number.POSITIVE_INFINITY
}
