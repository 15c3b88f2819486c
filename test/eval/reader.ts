/**
 * What a picture of the "scenes" world shows where. The model kit's reader (infra/model-kit/judge) tells floors and colours apart, square by square;
 * what touches and has one colour is an object, and its kind is what the judge sees of it on an empty floor.
 */
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { type Judge, type Judgement, kit, planesOf, side } from './judge.ts'
import { questions } from './questions.ts'
import { alone } from './regions.ts'
import { type Pixels, readSheet } from './sheets.ts'

/** Squares of 2×2 pixels a side. */
const squares = side / 2
/** The first class of objects; before it are the floors. */
export const firstObject = questions.floors.length
/** Fewer squares are no object: the smallest one has forty. */
const fewest = 12
const nothing = 255

export interface Thing {
	/** "red sphere" */
	readonly name: string
	/** The middle of its box, in pixels from the left. */
	readonly x: number
}

export interface Reading {
	/** The class of each square, as in maps, rows first; 255 where it is of none. */
	readonly classes: Uint8Array
	readonly things: readonly Thing[]
}

export type Reader = (picture: Pixels) => Promise<Reading>

/** Whether a picture as a whole, and each of its objects alone, say the same: blots and halves of objects do not. */
export function isScene({ count, colours, shapes }: Judgement, things: readonly Thing[]): boolean {
	const said = (words: Iterable<string>) => [...new Set(words)].sort().join()
	return (
		things.length === count &&
		said(colours) === said(things.map(({ name }) => name.split(' ')[0]!)) &&
		said(shapes) === said(things.map(({ name }) => name.split(' ')[1]!))
	)
}

const numbers = new Map(questions.maps.classes.map(({ name }, number) => [name, number]))

export async function loadReader(judge: Judge): Promise<Reader> {
	const session = await InferenceSession.create(join(kit, 'reader.onnx'))
	const floors = await readSheet('floors.png')
	return async (picture) => {
		const { classes: output } = await session.run({ image: new Tensor('float32', planesOf([picture]), [1, 3, side, side]) })
		const colours = Uint8Array.from(output!.data as BigInt64Array, Number)
		const floor = floors[commonest(colours.filter((colour) => colour < firstObject))]!
		const found = regions(colours)
		const boxes = found.map((region) => {
			const [xs, ys] = [region.map((at) => at % squares), region.map((at) => Math.floor(at / squares))]
			return [2 * Math.min(...xs), 2 * Math.min(...ys), 2 * Math.max(...xs) + 2, 2 * Math.max(...ys) + 2] as const
		})
		const seen = found.length > 0 ? await judge(boxes.map((box) => alone(picture, box, floor))) : []
		const classes = colours.map((colour) => (colour < firstObject ? colour : nothing))
		const things = seen.map(({ colour, shape }, i) => {
			const name = `${colour} ${shape}`
			for (const at of found[i]!) {
				classes[at] = numbers.get(name)!
			}
			return { name, x: (boxes[i]![0] + boxes[i]![2]) / 2 }
		})
		return { classes, things }
	}
}

/** The squares of each object: those of one colour that touch each other. */
function regions(colours: Uint8Array): number[][] {
	const seen = new Set<number>()
	return Array.from(colours.keys()).flatMap((start) => {
		const colour = colours[start]!
		if (colour < firstObject || seen.has(start)) {
			return []
		}
		const region = [start]
		seen.add(start)
		for (const at of region) {
			const [x, y] = [at % squares, Math.floor(at / squares)]
			const beside = [x > 0 && at - 1, x < squares - 1 && at + 1, y > 0 && at - squares, y < squares - 1 && at + squares]
			for (const next of beside) {
				if (next !== false && colours[next] === colour && !seen.has(next)) {
					seen.add(next)
					region.push(next)
				}
			}
		}
		return region.length < fewest ? [] : [region]
	})
}

function commonest(values: Uint8Array): number {
	const counts = new Uint32Array(firstObject)
	for (const value of values) {
		counts[value]! += 1
	}
	return counts.indexOf(Math.max(...counts))
}

const painted = new Map(questions.maps.classes.map(({ color }, number) => [color, number]))

/** The class of each pixel of a painted map. */
export function classesOf(map: Pixels): Uint8Array {
	return Uint8Array.from({ length: map.length / 3 }, (_, at) => {
		const color = `#${Buffer.from(map.subarray(3 * at, 3 * at + 3)).toString('hex')}`
		const label = painted.get(color)
		if (label === undefined) {
			throw new RangeError(`map: expected the colour of a class, got ${color}`)
		}
		return label
	})
}

/** The classes of a map's squares: what the last pixel of each has, which lies next to its middle. */
export function squaresOf(classes: Uint8Array): Uint8Array {
	return Uint8Array.from(
		{ length: squares ** 2 },
		(_, at) => classes[(2 * Math.floor(at / squares) + 1) * side + 2 * (at % squares) + 1]!
	)
}
