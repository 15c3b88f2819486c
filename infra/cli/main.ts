#!/usr/bin/env node
/** `npx darkroom`: asks a Darkroom for pictures from a terminal. */
import { parseArgs } from 'node:util'
import { type Archive, Darkroom, DarkroomError, Unanswered } from '../../shared/client.ts'
import { misread } from '../../shared/command-line.ts'
import { timeOf } from '../../shared/ids.ts'
import { accessBy } from './access.ts'
import { CliError } from './cli-error.ts'
import { generate } from './generate.ts'

const environment = `DARKROOM_URL and DARKROOM_API_KEY say where and who; without both, those of the last \`npm start\`.`

const usages = {
	generate: `npx darkroom generate ["<prompt>"] [-o picture.png]   draws pictures, and shows them in terminals that can

  -o, --output <file>      its ending says the format: png, webp, jpg or avif; with several pictures, -1, -2, … are added to the name
  --model <id>             the first of \`npx darkroom models\` by default
  --size <width>x<height>  pixels
  --steps <n>  --guidance <x>  --sampler <name>  --seed <n>  --count <n>
  --negative <text>        what to keep away from
  --image <file or URL>    a picture to start from; with --strength <0 to 1>, how much of it is drawn anew
  --image-guidance <x>     how closely a model that is guided by the image too keeps to it
  --mask <file or URL>     its white parts are drawn anew; of one with transparency, the transparent ones
  --map <file or URL>      a semantic map
  --control-image <file or URL>   a map that steers a model with a ControlNet; with --control-scale <x>, how strongly;
                           --control-start <0 to 1>  --control-end <0 to 1>, from which part of the steps on, and to which
  --box <label>:<x0>,<y0>,<x1>,<y1>   in parts of the picture from its top left corner; once for each box
  --class <name or number>
  --json                   prints the generation instead of a line for each file`,
	models: `npx darkroom models [--json]   lists the models: id, tasks, description`,
	usage: `npx darkroom usage [--json]   delivered pictures of the last 30 days: day, model, key, pictures, amount`,
	archives: `npx darkroom archives [--json]   the books of orders that are more than a month old: from, to, orders, pictures, amount, URL of the file (JSON lines, gzip)`,
	cancel: `npx darkroom cancel <generation>   ends a generation; what was delivered before stays`
}

const options = {
	output: { type: 'string', short: 'o' },
	model: { type: 'string' },
	size: { type: 'string' },
	steps: { type: 'string' },
	guidance: { type: 'string' },
	sampler: { type: 'string' },
	seed: { type: 'string' },
	count: { type: 'string' },
	negative: { type: 'string' },
	image: { type: 'string' },
	strength: { type: 'string' },
	'image-guidance': { type: 'string' },
	mask: { type: 'string' },
	map: { type: 'string' },
	'control-image': { type: 'string' },
	'control-scale': { type: 'string' },
	'control-start': { type: 'string' },
	'control-end': { type: 'string' },
	box: { type: 'string', multiple: true },
	class: { type: 'string' },
	json: { type: 'boolean' },
	help: { type: 'boolean', short: 'h' }
} as const
const parsed = () => parseArgs({ options, allowPositionals: true })
export type Flags = ReturnType<typeof parsed>['values']

await run().catch((error: Error & { code?: string }) => {
	console.error(told(error))
	process.exitCode = 1
})

function told(error: Error & { code?: string }): string {
	if (error instanceof DarkroomError || error instanceof Unanswered || error instanceof CliError) {
		return error.message
	}
	if (error.code?.startsWith('ERR_PARSE_ARGS')) {
		return misread(error)
	}
	// Events that were tried for long enough fail by what fetch throws, and that by what it met.
	const { cause: met } = error.cause instanceof TypeError ? error.cause : error
	// A name that has several addresses fails with an error for each.
	const cause = met instanceof AggregateError ? met.errors[0] : met
	return cause instanceof Error ? `no answer from ${accessBy('DARKROOM_API_KEY').url}: ${cause.message}` : String(error)
}

async function run(): Promise<void> {
	const { values, positionals } = parsed()
	const [command, subject, ...more] = positionals
	if (!command || !Object.hasOwn(usages, command)) {
		if (command && command !== 'help') {
			throw new CliError(`expected ${Object.keys(usages).join(', ')}, got ${command}`)
		}
		console.log(`${Object.values(usages).join('\n\n')}\n\n${environment}`)
		return
	}
	if (values.help) {
		console.log(`${usages[command as keyof typeof usages]}\n\n${environment}`)
		return
	}
	if (more.length > 0) {
		throw new CliError(`expected quotes around what has spaces, got also ${more.join(' ')}`)
	}
	const option = command !== 'generate' && Object.keys(values).find((name) => name !== 'json')
	if (option) {
		throw new CliError(`${command}: takes no --${option}`)
	}
	if (subject && !['generate', 'cancel'].includes(command)) {
		throw new CliError(`${command}: expected nothing more, got ${subject}`)
	}
	const { url, token: apiKey } = accessBy('DARKROOM_API_KEY')
	const client = new Darkroom({ url, apiKey })
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
		case 'archives':
			return table(values, await archives(client), ({ first, last, generations, pictures, amounts, url }) => [
				dayOf(first),
				dayOf(last),
				generations,
				pictures,
				(amounts.capture - amounts.refund) / 1_000_000,
				url
			])
		case 'cancel': {
			if (!subject) {
				throw new CliError('expected the id of a generation')
			}
			const generation = await client.cancel(subject)
			console.log(values.json ? JSON.stringify(generation, null, 2) : generation.status)
		}
	}
}

/** All pages of them. */
async function archives(client: Darkroom): Promise<Archive[]> {
	const all: Archive[] = []
	for (let cursor: string | null | undefined; cursor !== null; ) {
		const page = await client.archives(cursor)
		all.push(...page.archives)
		cursor = page.next
	}
	return all
}

function dayOf(id: string): string {
	return new Date(timeOf(id)).toISOString().slice(0, 10)
}

/** A line for each row. Programs that read them find none where there are none; people are told. */
function table<T>({ json }: Flags, rows: T[], cells: (row: T) => (string | number)[]): void {
	if (json) {
		console.log(JSON.stringify(rows, null, 2))
	} else if (rows.length === 0) {
		console.error('nothing')
	} else {
		console.log(rows.map((row) => cells(row).join('\t')).join('\n'))
	}
}
