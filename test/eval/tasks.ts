/**
 * `npm run eval:tasks`: draws with the demo models of the paper's other tasks through our own engine, and has the kit's judge say whether what was
 * asked for is there. Each measure is tried on real scenes first: no figure can be trusted further than that.
 */
import { join } from 'node:path'
import { progressBar } from '../../infra/progress.ts'
import { findModel } from '../../shared/catalog.ts'
import { readCommandLine } from '../../shared/command-line.ts'
import type { GenerationRequest } from '../../shared/contract/generation.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import { startEngine } from '../../worker-gpu/engine/client.ts'
import type { Engine } from '../../worker-gpu/engine/engine.ts'
import type { Rasters } from '../../worker-gpu/image/raster.ts'
import { root } from '../root.ts'
import { type Judge, type Judgement, loadJudge, side } from './judge.ts'
import { questions } from './questions.ts'
import { classesOf, firstObject, isScene, loadReader, squaresOf } from './reader.ts'
import { alone, inside, psnr, type Square, squaredDifference } from './regions.ts'
import { type Pixels, readSheet, writeSheet } from './sheets.ts'
import { shrink, small } from './shrink.ts'

const evaluations = { layout, classes, inpainting, semantic, unconditional, 'super-resolution': superResolution }
const usage = `npm run eval:tasks [-- ${Object.keys(evaluations).join(' ')}] [--guidance G] [--seed 0]

All of them by default. Picture i of each is drawn with seed + i. Sheets of the pictures go to .data/eval/.`
const { values: options, positionals } = readCommandLine(
	usage,
	{ options: { guidance: { type: 'string' }, seed: { type: 'string', default: '0' } }, allowPositionals: true },
	Object.keys(evaluations)
)

const { labels, masks } = questions
const real = await readSheet('real.webp')
const floors = new Map((await readSheet('floors.png')).map((picture, i) => [questions.floors[i]!, picture]))
const judge: Judge = await loadJudge()
const chosen = (positionals.length > 0 ? positionals : Object.keys(evaluations)) as (keyof typeof evaluations)[]
const engine: Engine = await startEngine({ models: chosen.map((name) => `scenes-${name}`) })
for (const name of chosen) {
	console.log(`\n${name}`)
	await evaluations[name]()
}
await engine.close()

/** Each box holds the object that was asked for, and there are no others. */
async function layout(): Promise<void> {
	const asked = questions.layouts
	const squares = asked.map(({ boxes }) =>
		boxes.map(({ box: [x0, y0, x1, y1] }): Square => [x0 * side, y0 * side, x1 * side, y1 * side])
	)
	const hold = async (pictures: readonly Pixels[]) =>
		(await objects(pictures, squares)).flatMap((seen, i) => seen.map((one, k) => isOne(one, asked[i]!.boxes[k]!.label)))
	row('real scenes: the object is in its box', await hold(asked.map(({ real: i }) => real[i]!)), '>= 98 %')
	const drawn = await draw(
		'scenes-layout',
		asked.map(({ boxes }) => ({ request: { layout: boxes } }))
	)
	row('drawn: the asked object is in its box', await hold(drawn), '>= 85 %')
	const seen = await judge(drawn)
	row(
		'drawn: as many objects as boxes',
		seen.map(({ count }, i) => count === asked[i]!.boxes.length)
	)
}

/** One object, of the class that was asked for: each class four times. */
async function classes(): Promise<void> {
	const ones = questions.layouts.filter(({ boxes }) => boxes.length === 1)
	const seenReal = await judge(ones.map(({ real: i }) => real[i]!))
	row(
		'real scenes: one object, of its class',
		ones.map(({ boxes }, i) => isOne(seenReal[i]!, boxes[0]!.label)),
		'>= 98 %'
	)
	const asked = Array.from({ length: 4 * labels.length }, (_, i) => i % labels.length)
	const drawn = await judge(
		await draw(
			'scenes-classes',
			asked.map((label) => ({ request: { class_label: label } }))
		)
	)
	row(
		'drawn: the asked colour and shape',
		asked.map((label, i) => isLabel(drawn[i]!, label)),
		'>= 85 %'
	)
	row(
		'drawn: one object, of the asked colour and shape',
		asked.map((label, i) => isOne(drawn[i]!, label))
	)
}

/** Each square of 2×2 pixels shows what the map has there. */
async function semantic(): Promise<void> {
	const maps = (await readSheet('maps.png')).slice(0, questions.maps.count).map(classesOf)
	const read = await loadReader(judge)
	const agree = async (what: string, pictures: readonly Pixels[], target: string) => {
		const [all, ofObjects] = [[] as boolean[], [] as boolean[]]
		for (const [i, map] of maps.map(squaresOf).entries()) {
			const seen = (await read(pictures[i]!)).classes
			for (const [at, label] of map.entries()) {
				all.push(seen[at] === label)
				if (label >= firstObject) {
					ofObjects.push(seen[at] === label)
				}
			}
		}
		row(`${what}: squares as in the map`, all, target)
		row(`${what}: squares of objects as in the map`, ofObjects, target)
	}
	await agree('real scenes', real, '>= 98 %')
	const drawn = await draw(
		'scenes-semantic',
		maps.map((pixels) => ({
			request: { semantic_map: 'drawn from the file' },
			inputs: { semantic_map: { pixels, width: side, height: side } }
		}))
	)
	await agree('drawn', drawn, '>= 85 %')
}

/** One, two or three whole objects, of which the picture as a whole says what each of them does alone. */
async function unconditional(): Promise<void> {
	const read = await loadReader(judge)
	const agree = async (pictures: readonly Pixels[]) => {
		const seen = await judge(pictures)
		return Promise.all(pictures.map(async (picture, i) => isScene(seen[i]!, (await read(picture)).things)))
	}
	row('real scenes: objects alone are those of the whole', await agree(real.slice(0, 200)), '>= 98 %')
	const drawn = await draw('scenes-unconditional', Array<Asked>(200).fill({ request: {} }))
	row('drawn: objects alone are those of the whole', await agree(drawn), '>= 85 %')
	const pairs = new Set((await Promise.all(drawn.map(read))).flatMap(({ things }) => things.map(({ name }) => name)))
	console.log(`  ${pairs.size} of ${labels.length} pairs of colour and shape are among them`)
}

/** What the mask covered is the object that was asked for; the rest is as it was. */
async function inpainting(): Promise<void> {
	const images = masks.map(({ real: i }) => real[i]!)
	const drawn = await draw(
		'scenes-inpainting',
		masks.map(({ caption, mask }, i) => ({
			request: { prompt: caption, image: 'drawn from the file', mask: 'drawn from the file' },
			inputs: {
				image: { pixels: images[i]!, width: side, height: side },
				mask: {
					pixels: Uint8Array.from({ length: side ** 2 }, (_, at) => (inside(mask, at) ? 255 : 0)),
					width: side,
					height: side
				}
			}
		}))
	)
	const squares = masks.map(({ box }) => [box])
	const before = await objects(images, squares)
	row(
		'real scenes: one object is where another is to be',
		before.map(([seen]) => seen!.count === 1),
		'>= 98 %'
	)
	const after = await objects(drawn, squares)
	row(
		'drawn: the asked object is under the mask',
		masks.map(({ label }, i) => isOne(after[i]![0]!, label)),
		'>= 85 %'
	)
	const [was, is] = [await judge(images), await judge(drawn)]
	row(
		'drawn: the floor and the number of objects are as before',
		is.map(({ floor, count }, i) => floor === was[i]!.floor && count === was[i]!.count)
	)
	const kept = masks.map(({ mask }, i) => psnr(squaredDifference(drawn[i]!, images[i]!, (at) => !inside(mask, at))))
	const changed = masks.map(({ mask }, i) => psnr(squaredDifference(drawn[i]!, images[i]!, (at) => inside(mask, at))))
	console.log(`  against the image: ${mean(kept)} dB outside the mask, ${mean(changed)} dB under it`)
}

/** Shrunk again, what is drawn is the small picture; it shows what the scene does that this was made from. */
async function superResolution(): Promise<void> {
	const scenes = real.slice(0, 100)
	const images = scenes.map(shrink)
	const drawn = await draw(
		'scenes-super-resolution',
		images.map((pixels) => ({
			request: { image: 'drawn from the file' },
			inputs: { image: { pixels, width: small, height: small } }
		}))
	)
	const agrees = drawn.map((picture, i) => psnr(squaredDifference(shrink(picture), images[i]!)))
	row(
		'drawn: shrunk again, within 30 dB of the small picture',
		agrees.map((decibels) => decibels >= 30),
		'100 %'
	)
	const [truth, seen] = [await judge(scenes), await judge(drawn)]
	const facts = ({ count, colours, shapes, floor }: Judgement) => [count, [...colours], [...shapes], floor].toString()
	row(
		'drawn: number, colours, shapes and floor as in the scene',
		seen.map((one, i) => facts(one) === facts(truth[i]!))
	)
	console.log(`  shrunk again ${mean(agrees)} dB from the small picture, the worst ${Math.min(...agrees).toFixed(1)}`)
	console.log(`  ${mean(drawn.map((picture, i) => psnr(squaredDifference(picture, scenes[i]!))))} dB from the scene`)
}

/** What is in each square of each picture, with nothing else on its floor. */
async function objects(pictures: readonly Pixels[], squares: readonly (readonly Square[])[]): Promise<Judgement[][]> {
	const whole = await judge(pictures)
	const cut = pictures.flatMap((picture, i) => squares[i]!.map((square) => alone(picture, square, floors.get(whole[i]!.floor)!)))
	const seen = await judge(cut)
	let at = 0
	return squares.map(({ length }) => {
		at += length
		return seen.slice(at - length, at)
	})
}

function mean(values: readonly number[]): string {
	return (values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(1)
}

function isLabel({ colour, shape }: Judgement, label: number): boolean {
	return `${colour} ${shape}` === labels[label]
}

function isOne(seen: Judgement, label: number): boolean {
	return seen.count === 1 && isLabel(seen, label)
}

function row(name: string, right: readonly boolean[], target = ''): void {
	const share = (100 * right.filter(Boolean).length) / right.length
	console.log(`  ${name.padEnd(58)} ${share.toFixed(1).padStart(5)} % of ${right.length} ${target && `(target ${target})`}`)
}

interface Asked {
	readonly request: Omit<GenerationRequest, 'model'>
	readonly inputs?: Rasters
}

async function draw(id: string, asked: readonly Asked[]): Promise<Pixels[]> {
	const model = findModel(id)!
	const task = Object.keys(model.tasks)[0] as keyof typeof model.tasks
	const resolve = requestFor(model, { task, stored: false, image: asked[0]?.inputs?.image })
	const tick = progressBar(id, asked.length)
	const pictures = await Promise.all(
		asked.map(async ({ request, inputs = {} }, i) => {
			const guidance = options.guidance === undefined ? {} : { guidance: Number(options.guidance) }
			const { pictures } = await engine.develop(
				resolve.parse({ model: id, seed: Number(options.seed) + i, ...guidance, ...request }),
				{ inputs }
			)
			tick()
			return pictures[0]!.pixels
		})
	)
	await writeSheet(join(root, '.data/eval', `${id}.png`), pictures)
	return pictures
}
