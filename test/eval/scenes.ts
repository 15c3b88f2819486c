/**
 * `npm run eval:scenes`: draws the kit's captions through our own engine and lets the kit's judge say what is in the pictures.
 * Prints the judge's own accuracy on real scenes first: no figure below can be trusted further than that.
 */
import { readFileSync } from 'node:fs'
import { join, resolve as resolvePath } from 'node:path'
import { progressBar } from '../../infra/progress.ts'
import { findModel } from '../../shared/catalog.ts'
import { readCommandLine } from '../../shared/command-line.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import { startEngine } from '../../worker-gpu/engine/client.ts'
import { root } from '../root.ts'
import { type Judgement, kit, loadJudge } from './judge.ts'
import { loadReader, type Thing } from './reader.ts'
import { readSheet, writeSheet } from './sheets.ts'
import { areAsAsked, countOf, isAsAsked, isOnItsSide, isRight, type Seen, type Wording, wordings } from './wordings.ts'

const evaluations = { captions: evaluateCaptions, wordings: evaluateWordings }
const usage = `npm run eval:scenes [-- captions wordings] [--steps 25] [--guidance G] [--seed 0] [--models DIR]

Captions of the grammar that the model was trained on, and prompts worded otherwise; both by default. Prompt i of each list
is drawn with seed + i. Sheets of the pictures go to .data/eval/. DIR holds another export of the model, in a folder "scenes".`
const { values: options, positionals } = readCommandLine(
	usage,
	{
		options: {
			steps: { type: 'string', default: '25' },
			guidance: { type: 'string' },
			seed: { type: 'string', default: '0' },
			models: { type: 'string' }
		},
		allowPositionals: true
	},
	Object.keys(evaluations)
)

interface Things {
	colour: string
	shape: string
	size: string
	material: string
}
interface Single extends Things {
	caption: string
	floor: string
	/** A colour and shape that the denoiser never saw together. */
	unseen: boolean
}
/** Where the first of two objects stands, seen from the second. */
type Relation = 'left' | 'right' | 'front' | 'behind' | 'and'
interface Double {
	caption: string
	objects: [Things, Things]
	relation: Relation
}
/** Of two or three objects, in the words that the translator says prompts in. */
interface Several {
	caption: string
	objects: Pick<Things, 'colour' | 'shape'>[]
	/** What of them is alike. */
	kind: string
}
interface Real {
	objects: Things[]
	floor: string
	/** Of two objects. */
	relation?: Relation
}

const file = (name: string) => JSON.parse(readFileSync(join(kit, name), 'utf8'))
const judge = await loadJudge()
const read = await loadReader(judge)
await judgeTheJudges()

const engine = await startEngine({ models: ['scenes'], ...(options.models && { modelsDir: resolvePath(options.models) }) })
for (const name of positionals.length > 0 ? positionals : Object.keys(evaluations)) {
	await evaluations[name as keyof typeof evaluations]()
}
await engine.close()

async function evaluateCaptions(): Promise<void> {
	const captions: { single: Single[]; double: Double[]; several: Several[] } = file('captions.json')
	const { seen: singles } = await draw(
		'single',
		captions.single.map(({ caption }) => caption)
	)
	const { seen: doubles, pictures: twoObjects } = await draw(
		'double',
		captions.double.map(({ caption }) => caption)
	)
	const pairs = captions.single.map((asked, i) => ({ asked, seen: singles[i] as Judgement }))
	const colour = ({ asked, seen }: (typeof pairs)[number]) => seen.colour === asked.colour
	const shape = ({ asked, seen }: (typeof pairs)[number]) => seen.shape === asked.shape
	const size = ({ asked, seen }: (typeof pairs)[number]) => seen.size === asked.size
	const material = ({ asked, seen }: (typeof pairs)[number]) => seen.material === asked.material
	const unseen = pairs.filter(({ asked }) => asked.unseen)
	console.log(
		`\n${pairs.length} captions of one object, ${unseen.length} of them with a colour and shape never seen together in training`
	)
	row('colour', pairs, colour, '>= 99 %')
	row('shape', pairs, shape, '>= 97 %')
	row('size', pairs, size)
	row('material', pairs, material)
	row('floor', pairs, ({ asked, seen }) => seen.floor === asked.floor)
	row('colour, shape, size and material', pairs, (pair) => colour(pair) && shape(pair) && size(pair) && material(pair), '>= 95 %')
	row('colour and shape, unseen pairs', unseen, (pair) => colour(pair) && shape(pair), '>= 93 %')
	row('exactly one object', pairs, ({ seen }) => seen.count === 1, '>= 97 %')

	const twos = await Promise.all(
		captions.double.map(async (asked, i) => ({
			asked,
			seen: doubles[i] as Judgement,
			found: (await read(twoObjects[i]!)).things
		}))
	)
	const bound = ({ asked, found }: { asked: Pick<Double, 'objects'>; found: readonly Thing[] }) =>
		asked.objects.every((thing) => found.some(({ name }) => name === nameOf(thing)))
	console.log(`\n${twos.length} captions of two objects`)
	row('both colours', twos, ({ asked, seen }) => asked.objects.every(({ colour }) => seen.colours.has(colour)), '>= 92 %')
	row('both shapes', twos, ({ asked, seen }) => asked.objects.every(({ shape }) => seen.shapes.has(shape)))
	row('each shape in its own colour', twos, bound, '>= 85 %')
	const beside = twos.filter(({ asked }) => isBeside(asked))
	row(`left or right as asked, of ${beside.length}`, beside, ({ asked, found }) => isPlaced(asked, found), '>= 85 %')
	row('exactly two objects', twos, ({ seen }) => seen.count === 2)

	const several = captions.several.map(({ caption, objects, kind }) => ({ prompt: caption, objects: objects.map(nameOf), kind }))
	const seen = await look('several', several)
	console.log(`\n${several.length} captions of several objects`)
	row('as asked', seen, areAsAsked)
	rowsByKind(seen)
	row('as many as asked', seen, ({ asked, seen, found }) => countOf(seen, found) === asked.objects.length)
}

async function evaluateWordings(): Promise<void> {
	const ones = await look('worded-one', wordings.one)
	const twos = await look('worded-two', wordings.two)
	const counts = await look('worded-counts', wordings.counts)
	const beside = twos.filter(({ asked }) => isBeside(asked))
	console.log('\nWorded otherwise than the captions')
	row(`one object, as asked, of ${ones.length}`, ones, isAsAsked, '>= 95 %')
	row(`two objects, as asked, of ${twos.length}`, twos, areAsAsked, '>= 85 %')
	row(`left or right as asked, of ${beside.length}`, beside, isOnItsSide)
	row(`several alike, or three, of ${counts.length}`, counts, areAsAsked)
	const all = [...ones, ...twos, ...counts]
	const written = {
		strangers: 'before its grammar was widened',
		fresh: 'after that',
		numbers: 'later, about numbers and kinds',
		visitors: 'before it was widened again',
		later: 'after that, before it was trained',
		guests: 'before it was widened a third time',
		further: 'after that, before it was trained'
	}
	for (const [name, when] of Object.entries(written)) {
		const seen = await look(`worded-${name}`, wordings[name as keyof typeof written])
		const asked = seen.filter(({ asked }) => asked.objects.length > 0)
		console.log(`\nAs strangers would type them, written ${when}`)
		row(`as asked, of ${asked.length}`, asked, isRight)
		rowsByKind(seen)
		const placed = seen.filter(({ asked }) => isBeside(asked))
		if (placed.length > 0) {
			row(`left or right as asked, of ${placed.length}`, placed, isOnItsSide)
		}
		all.push(...seen)
	}
	for (const { asked, seen, found } of all.filter((each) => !isRight(each))) {
		console.log(`    missed: ${asked.prompt} (${seen.count}: ${found.map(({ name }) => name).join(', ')})`)
	}
}

/** Draws the prompts and reads what is where. */
async function look(name: string, asked: readonly Wording[]): Promise<Seen[]> {
	const { pictures, seen } = await draw(
		name,
		asked.map(({ prompt }) => prompt)
	)
	return Promise.all(
		asked.map(async (wording, i) => ({ asked: wording, seen: seen[i]!, found: (await read(pictures[i]!)).things }))
	)
}

function nameOf({ colour, shape }: Pick<Things, 'colour' | 'shape'>): string {
	return `${colour} ${shape}`
}

function isBeside({ relation }: { relation?: Relation }): boolean {
	return relation === 'left' || relation === 'right'
}

/** Whether both objects are there, the first one on the side that was asked for. */
function isPlaced({ objects, relation }: Pick<Real, 'objects' | 'relation'>, found: readonly Thing[]): boolean {
	const [first, second] = objects.map((thing) => found.find(({ name }) => name === nameOf(thing))?.x)
	return first !== undefined && second !== undefined && (relation === 'left' ? first < second : first > second)
}

/** Prints the share of `items` for which `holds`. */
function row<T>(name: string, items: T[], holds: (item: T) => boolean, target = ''): void {
	const share = items.filter(holds).length / items.length
	console.log(`  ${name.padEnd(38)} ${(100 * share).toFixed(1).padStart(5)} %  ${target && `(target ${target})`}`)
}

function rowsByKind(seen: Seen[]): void {
	for (const [kind, some] of Map.groupBy(seen, ({ asked }) => asked.kind)) {
		row(`  ${kind}, of ${some.length}`, some, isRight)
	}
}

async function draw(name: string, prompts: string[]): Promise<{ pictures: Uint8Array[]; seen: Judgement[] }> {
	const resolve = requestFor(findModel('scenes')!)
	const tick = progressBar(`${name.padEnd(6)} captions`, prompts.length)
	const pictures: Uint8Array[] = []
	await Promise.all(
		prompts.map(async (prompt, i) => {
			const { pictures: drawn } = await engine.develop(
				resolve.parse({
					model: 'scenes',
					prompt,
					seed: Number(options.seed) + i,
					steps: Number(options.steps),
					...(options.guidance && { guidance: Number(options.guidance) })
				})
			)
			pictures[i] = drawn[0]!.pixels
			tick()
		})
	)
	await writeSheet(join(root, '.data/eval', `${name}.png`), pictures)
	return { pictures, seen: await judge(pictures) }
}

async function judgeTheJudges(): Promise<void> {
	const { pictures, judged } = await judgeReal('real')
	const ones = judged.filter(({ asked }) => asked.objects.length === 1)
	const one = (name: keyof Things) =>
		row(`${name}, one object`, ones, ({ asked, seen }) => seen[name] === asked.objects[0]![name], '>= 99 %')
	console.log(`The judge on ${judged.length} real scenes that it never saw, ${ones.length} of them with one object`)
	one('colour')
	one('shape')
	one('size')
	one('material')
	row('number of objects', judged, ({ asked, seen }) => seen.count === asked.objects.length, '>= 99 %')
	row(
		'colours present, exactly',
		judged,
		({ asked, seen }) =>
			same(
				seen.colours,
				asked.objects.map(({ colour }) => colour)
			),
		'>= 99 %'
	)
	row('shapes present, exactly', judged, ({ asked, seen }) =>
		same(
			seen.shapes,
			asked.objects.map(({ shape }) => shape)
		)
	)
	const twos = await Promise.all(
		judged.flatMap(({ asked }, i) =>
			asked.objects.length === 2 ? [read(pictures[i]!).then((seen) => ({ asked, found: seen.things }))] : []
		)
	)
	row(
		`each shape in its own colour, ${twos.length} of two`,
		twos,
		({ asked, found }) =>
			found
				.map(({ name }) => name)
				.sort()
				.join() === asked.objects.map(nameOf).sort().join(),
		'>= 98 %'
	)
	const beside = twos.filter(({ asked }) => isBeside(asked) && new Set(asked.objects.map(nameOf)).size === 2)
	row(`left or right, ${beside.length} of two`, beside, ({ asked, found }) => isPlaced(asked, found), '>= 98 %')
	const several = await judgeReal('several')
	const told = await Promise.all(
		several.judged.map(async ({ asked, seen }, i) => ({
			asked: { prompt: '', objects: asked.objects.map(nameOf) },
			seen,
			found: (await read(several.pictures[i]!)).things
		}))
	)
	console.log(`On ${told.length} more, of two and three objects, many of them alike`)
	row('number of objects, the judge', told, ({ asked, seen }) => seen.count === asked.objects.length)
	row('number of objects, judge and reader', told, ({ asked, seen, found }) => countOf(seen, found) === asked.objects.length)
	row('each shape in its own colour, as many', told, areAsAsked, '>= 97 %')
}

async function judgeReal(name: string): Promise<{ pictures: Uint8Array[]; judged: { asked: Real; seen: Judgement }[] }> {
	const { tiles }: { tiles: Real[] } = file(`${name}.json`)
	const pictures = await readSheet(`${name}.webp`)
	return { pictures, judged: (await judge(pictures)).map((seen, i) => ({ asked: tiles[i]!, seen })) }
}

function same(seen: Set<string>, asked: string[]): boolean {
	return seen.size === new Set(asked).size && asked.every((name) => seen.has(name))
}
