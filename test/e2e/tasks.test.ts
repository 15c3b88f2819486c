import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { decodePicture, type Judge, loadJudge, side } from '../eval/judge.ts'
import { questions } from '../eval/questions.ts'
import { classesOf, firstObject, isScene, loadReader, squaresOf } from '../eval/reader.ts'
import { alone, inside, psnr, type Square, squaredDifference } from '../eval/regions.ts'
import { type Pixels, readSheet } from '../eval/sheets.ts'
import { shrink, small } from '../eval/shrink.ts'
import { type Stack, startStack } from '../stack.ts'

/*
 * Each of the paper's tasks by its demo model, with what is in the pictures. A few pictures each: `npm run eval:tasks` has the shares of many.
 */

const wait = { prefer: 'wait=60' }
const { labels, layouts, masks } = questions

let stack: Stack
let judge: Judge
let real: Pixels[]
let floors: ReadonlyMap<string, Pixels>
beforeAll(async () => {
	judge = await loadJudge()
	real = await readSheet('real.webp')
	floors = new Map((await readSheet('floors.png')).map((picture, i) => [questions.floors[i]!, picture]))
	stack = await startStack()
})
afterAll(() => stack?.close())

const pictures = async ({ images }: Generation): Promise<Pixels[]> =>
	Promise.all(images.map(async ({ url }) => decodePicture(new Uint8Array(await (await fetch(url)).arrayBuffer()))))

async function draw(order: Parameters<Stack['submit']>[0]): Promise<Pixels[]> {
	const generation = await stack.submit(order, wait)
	expect(generation).toMatchObject({ status: 'succeeded', error: null })
	return pictures(generation)
}

const png = async (pixels: Uint8Array, channels: 1 | 3, width = side) =>
	`data:image/png;base64,${(
		await sharp(pixels, { raw: { width, height: pixels.length / width / channels, channels } })
			.png()
			.toBuffer()
	).toString('base64')}`

/** What the judge sees in a part of a picture, with nothing else on its floor. */
async function seenIn(picture: Pixels, square: Square): Promise<string> {
	const [whole] = await judge([picture])
	const [seen] = await judge([alone(picture, square, floors.get(whole!.floor)!)])
	return `${seen!.count} ${seen!.colour} ${seen!.shape}`
}

it('layout-to-image: each box holds what was asked for', async () => {
	const asked = layouts.filter(({ boxes }) => boxes.length === 2).slice(0, 4)
	const drawn = await Promise.all(
		asked.map(async ({ boxes }, seed) => {
			const layout = boxes.map(({ label, box }) => ({ label: labels[label]!, box }))
			return (await draw({ model: 'scenes-layout', layout, seed }))[0]!
		})
	)
	const seen = await Promise.all(
		asked.map(({ boxes }, i) =>
			Promise.all(boxes.map(({ box: [x0, y0, x1, y1] }) => seenIn(drawn[i]!, [x0 * side, y0 * side, x1 * side, y1 * side])))
		)
	)
	const right = asked.flatMap(({ boxes }, i) => boxes.filter(({ label }, k) => seen[i]![k] === `1 ${labels[label]}`))
	expect(right.length).toBeGreaterThanOrEqual(7)
})

it('class-conditional: each picture shows its class', async () => {
	const asked = ['red sphere', 'green cube', 'blue cylinder', 'yellow cone', 'purple cube', 'cyan sphere']
	const drawn = await Promise.all(
		asked.map(async (name, seed) => (await draw({ model: 'scenes-classes', class_label: name, seed }))[0]!)
	)
	const seen = await judge(drawn)
	expect(seen.filter(({ colour, shape }, i) => `${colour} ${shape}` === asked[i]).length).toBeGreaterThanOrEqual(5)
})

it('semantic synthesis: the scene agrees with the map', async () => {
	const read = await loadReader(judge)
	const painted = (await readSheet('maps.png')).slice(0, 4)
	const agreement = await Promise.all(
		painted.map(async (pixels, seed) => {
			const [picture] = await draw({ model: 'scenes-semantic', semantic_map: await png(pixels, 3), seed })
			const { classes } = await read(picture!)
			const asked = squaresOf(classesOf(pixels))
			const objects = Array.from(asked.keys()).filter((at) => asked[at]! >= firstObject)
			return objects.filter((at) => classes[at] === asked[at]).length / objects.length
		})
	)
	expect(agreement.filter((share) => share >= 0.75).length).toBeGreaterThanOrEqual(3)
})

it('unconditional: scenes of whole objects, another one for each seed', async () => {
	const read = await loadReader(judge)
	const drawn = await draw({ model: 'scenes-unconditional', seed: 0, count: 6 })
	const seen = await judge(drawn)
	const things = await Promise.all(drawn.map(async (picture) => (await read(picture)).things))
	expect(things.filter((ones, i) => isScene(seen[i]!, ones)).length).toBeGreaterThanOrEqual(4)
	expect(new Set(things.map((ones) => ones.map(({ name, x }) => `${name} ${x}`).join())).size).toBe(6)
})

describe('inpainting', () => {
	const covered = (mask: Square) => Uint8Array.from({ length: side ** 2 }, (_, at) => (inside(mask, at) ? 255 : 0))

	it('draws what was asked for under the mask, and keeps the rest', async () => {
		const asked = masks.slice(0, 6)
		const drawn = await Promise.all(
			asked.map(async ({ real: i, mask, caption }, seed) => {
				const [image, over] = await Promise.all([png(real[i]!, 3), png(covered(mask), 1)])
				return (await draw({ model: 'scenes-inpainting', prompt: caption, image, mask: over, seed }))[0]!
			})
		)
		const seen = await Promise.all(asked.map(({ box }, i) => seenIn(drawn[i]!, box)))
		const right = asked.filter(({ label }, i) => seen[i] === `1 ${labels[label]}`)
		expect(right.length).toBeGreaterThanOrEqual(4)
		for (const [i, { real: number, mask }] of asked.entries()) {
			const kept = squaredDifference(drawn[i]!, real[number]!, (at) => !inside(mask, at))
			const changed = squaredDifference(drawn[i]!, real[number]!, (at) => inside(mask, at))
			expect(kept).toBeLessThan(changed / 4)
			expect(kept).toBeLessThan(100) // 28 dB
		}
	})

	it('works in pictures twice as wide as those it was trained on', async () => {
		const [{ real: i, mask, box, caption, label }] = masks as [(typeof masks)[number]]
		const wide = (pixels: Uint8Array, other: Uint8Array, channels: number) =>
			Uint8Array.from({ length: 2 * pixels.length }, (_, at) => {
				const [x, y] = [Math.floor(at / channels) % (2 * side), Math.floor(at / channels / (2 * side))]
				return (x < side ? pixels : other)[(y * side + (x % side)) * channels + (at % channels)]!
			})
		const whole = await judge([real[i]!])
		const image = await png(wide(real[i]!, floors.get(whole[0]!.floor)!, 3), 3, 2 * side)
		const over = await png(wide(covered(mask), new Uint8Array(side ** 2), 1), 1, 2 * side)
		const [picture] = await draw({ model: 'scenes-inpainting', prompt: caption, image, mask: over, seed: 3 })
		expect(picture).toHaveLength(2 * side * side * 3)
		const left = Uint8Array.from({ length: side ** 2 * 3 }, (_, at) => {
			const [x, y] = [Math.floor(at / 3) % side, Math.floor(at / 3 / side)]
			return picture![(y * 2 * side + x) * 3 + (at % 3)]!
		})
		expect(await seenIn(left, box)).toBe(`1 ${labels[label]}`)
	})
})

describe('super-resolution', () => {
	const images = () => real.slice(0, 4).map(shrink)

	it('draws a picture that is the small one when it is shrunk again, and nearer to the scene than an enlargement', async () => {
		for (const [i, image] of images().entries()) {
			const file = await png(image, 3, small)
			const [drawn] = await draw({ model: 'scenes-super-resolution', image: file, seed: i })
			expect(psnr(squaredDifference(shrink(drawn!), image))).toBeGreaterThan(30)
			const raw = { width: small, height: small, channels: 3 as const }
			const enlarged = await sharp(image, { raw }).resize(side, side, { kernel: 'cubic' }).raw().toBuffer()
			expect(squaredDifference(drawn!, real[i]!)).toBeLessThan(squaredDifference(enlarged, real[i]!) / 2)
		}
	})
})
