#!/usr/bin/env node
/** `npx darkroom`: asks a Darkroom for pictures from a terminal. */
import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { parseArgs } from 'node:util'
import { Darkroom, DarkroomError } from '../shared/client.ts'
import type { Generation } from '../shared/contract/generation.ts'
import type { GenerationOrder } from '../shared/contract/order.ts'

const usage = `npx darkroom generate "<prompt>" [-o picture.png]   draws pictures; with several, -1, -2, … are put behind the name
  --model <id> --size <width>x<height> --steps <n> --guidance <x> --seed <n> --count <n>
  --json            prints the generation instead of a line for each file
npx darkroom models                                 lists the models
npx darkroom usage                                  delivered pictures of the last 30 days
npx darkroom cancel <generation>

DARKROOM_URL and DARKROOM_API_KEY say where and who; what \`npm start\` last made is taken where they are not set.`

const options = {
	output: { type: 'string', short: 'o' },
	model: { type: 'string' },
	size: { type: 'string' },
	steps: { type: 'string' },
	guidance: { type: 'string' },
	seed: { type: 'string' },
	count: { type: 'string' },
	json: { type: 'boolean' },
	help: { type: 'boolean', short: 'h' }
} as const
type Flags = ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>['values']

await run().catch((error: Error & { code?: string }) => {
	console.error(error instanceof DarkroomError || error.code?.startsWith('ERR_PARSE_ARGS') ? error.message : String(error))
	process.exitCode = 1
})

async function run(): Promise<void> {
	const { values, positionals } = parseArgs({ options, allowPositionals: true })
	const [command, subject] = positionals
	if (values.help || !command) {
		console.log(usage)
		return
	}
	const client = new Darkroom(account())
	switch (command) {
		case 'generate':
			return generate(client, subject, values)
		case 'models':
			return table(values, await client.models(), ({ id, tasks, description }) => [id, Object.keys(tasks).join(' '), description])
		case 'usage':
			return table(values, await client.usage(), ({ day, model, key_name, pictures, amount }) => [
				day,
				model,
				key_name,
				pictures,
				amount / 1_000_000
			])
		case 'cancel':
			console.log((await client.cancel(subject ?? '')).status)
			return
		default:
			throw new Error(`expected generate, models, usage or cancel, got ${command}`)
	}
}

function account(): { url: string; apiKey: string } {
	const { DARKROOM_URL: url, DARKROOM_API_KEY: apiKey, DATA_DIR = '.data' } = process.env
	return url && apiKey ? { url, apiKey } : JSON.parse(readFileSync(join(DATA_DIR, 'dev.json'), 'utf8'))
}

function table<T>({ json }: Flags, rows: T[], cells: (row: T) => (string | number)[]): void {
	console.log(json ? JSON.stringify(rows, null, 2) : rows.map((row) => cells(row).join('\t')).join('\n'))
}

async function generate(client: Darkroom, prompt: string | undefined, flags: Flags): Promise<void> {
	const { output = 'picture.png', size, json } = flags
	const [width, height] = size?.split('x').map(Number) ?? []
	const model = flags.model ?? (await client.models())[0]!.id
	const number = (name: 'steps' | 'guidance' | 'seed' | 'count') => flags[name] !== undefined && { [name]: Number(flags[name]) }
	const order: GenerationOrder = {
		model,
		...(prompt !== undefined && { prompt }),
		...(width !== undefined && height !== undefined && { width, height }),
		...number('steps'),
		...number('guidance'),
		...number('seed'),
		...number('count')
	}
	const { id } = await client.create(order)
	// Whoever stops waiting does not want it any more.
	process.once('SIGINT', () => void client.cancel(id))
	const generation = await watch(client, id)
	const files = await Promise.all(generation.images.map((image) => save(image, output, generation.images.length)))
	console.log(json ? JSON.stringify(generation, null, 2) : files.join('\n'))
	if (generation.status !== 'succeeded') {
		throw new Error(`${generation.status}${generation.error ? `: ${generation.error.detail}` : ''}`)
	}
}

async function save({ url, n }: Generation['images'][number], output: string, count: number): Promise<string> {
	const { dir, name, ext } = parse(output)
	const file = count === 1 ? output : join(dir, `${name}-${n + 1}${ext}`)
	await writeFile(file, new Uint8Array(await (await fetch(url)).arrayBuffer()))
	return file
}

/** Follows a generation to its end, with a bar where a person looks on. */
async function watch(client: Darkroom, id: string): Promise<Generation> {
	const write = (text: string) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`)
	for await (const event of client.events(id)) {
		if (event.type === 'status') {
			write(event.status)
		} else if (event.type === 'progress') {
			const filled = Math.round((event.done / event.total) * 30)
			write(`[${'#'.repeat(filled)}${' '.repeat(30 - filled)}] ${event.done}/${event.total}`)
		} else if (event.type === 'end') {
			write('')
			return event.generation
		}
	}
	throw new Error('the events ended before the generation')
}
