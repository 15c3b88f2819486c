/**
 * Prompts as people word them, and what their pictures are to show (infra/model-kit/judge/wordings.json). All are written by hand: `one`, `two` and `counts` before
 * the text encoder was taught other words than its captions'; `strangers` before its grammar was widened, which their misses led; `fresh` when it had been trained;
 * `numbers` later, about two and three, alike and not; `visitors` before the grammar was widened again, led by their misses, and `later` before that was trained;
 * `guests` and `further` are those two of the third time.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Judgement, kit, labels } from './judge.ts'
import { isScene, type Thing } from './reader.ts'

export interface Wording {
	readonly prompt: string
	/** What is hard about it. */
	readonly kind?: string
	/** "small red cube": what is said of each, in the judge's words. None: it asks for nothing that can be drawn. */
	readonly objects: readonly string[]
	readonly floor?: string
	/** Where the first object stands, seen from the second. */
	readonly relation?: 'left' | 'right' | 'front' | 'behind'
}

export interface Seen {
	readonly asked: Wording
	readonly seen: Judgement
	readonly found: readonly Thing[]
}

export const wordings: Record<
	'one' | 'two' | 'counts' | 'strangers' | 'fresh' | 'numbers' | 'visitors' | 'later' | 'guests' | 'further',
	readonly Wording[]
> = JSON.parse(readFileSync(join(kit, 'wordings.json'), 'utf8'))

/** What is looked at depends on how many objects were asked for; of none, that there is a scene nevertheless. */
export function isRight(seen: Seen): boolean {
	const count = seen.asked.objects.length
	return count === 0 ? seen.found.length > 0 && isScene(seen.seen, seen.found) : count === 1 ? isAsAsked(seen) : areAsAsked(seen)
}

/** One object, with all that was said of it and of the floor. */
export function isAsAsked({ asked: { objects, floor }, seen }: Seen): boolean {
	const said = (kind: 'colour' | 'shape' | 'size' | 'material') =>
		labels[kind].every((word) => !objects[0]!.split(' ').includes(word) || seen[kind] === word)
	return (
		seen.count === 1 && said('colour') && said('shape') && said('size') && said('material') && (!floor || seen.floor === floor)
	)
}

/**
 * Each asked shape in its own colour, no others, and as many as were asked for. Two alike that touch are read as one thing, and of three alike the judge, which
 * seldom saw such in its training, counts two now and then; neither counts too many, so the larger number holds.
 */
export function areAsAsked({ asked: { objects }, seen, found }: Seen): boolean {
	return (
		countOf(seen, found) === objects.length &&
		objects.every((said) => found.some(({ name }) => isNamed(said, name))) &&
		found.every(({ name }) => objects.some((said) => isNamed(said, name)))
	)
}

/** How many objects there are. */
export function countOf({ count }: Judgement, found: readonly Thing[]): number {
	return Math.max(count, found.length)
}

/** Whether the first object stands on the side of the second that was asked for. */
export function isOnItsSide({ asked: { objects, relation }, found }: Seen): boolean {
	const [first, second] = objects.map((said) => found.find(({ name }) => isNamed(said, name))?.x)
	return first !== undefined && second !== undefined && (relation === 'left' ? first < second : first > second)
}

/** Whether a thing is of the colour and shape that were said, where they were. */
function isNamed(said: string, name: string): boolean {
	const words = [...labels.colour, ...labels.shape].filter((word) => said.split(' ').includes(word))
	return words.every((word) => name.split(' ').includes(word))
}
