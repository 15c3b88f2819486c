import { access, constants, readFile, writeFile } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { type Darkroom, DarkroomError } from '../../shared/client.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import type { GenerationOrder } from '../../shared/contract/order.ts'
import { inShort } from '../../shared/duration.ts'
import { CliError } from './cli-error.ts'
import { inlineImages } from './inline-image.ts'
import type { Flags } from './main.ts'

/** Rows of the terminal that a picture takes. */
const rows = 12
const formats = { '.png': 'png', '.webp': 'webp', '.jpg': 'jpeg', '.jpeg': 'jpeg', '.avif': 'avif' } as const

const inline = inlineImages(process.env)
const usualOutput = 'picture.png'
const isWatched = Boolean(process.stderr.isTTY)
/** Pictures are shown to people alone, and not among what is piped somewhere. */
const show = isWatched && process.stdout.isTTY ? inline : undefined

/** Orders pictures, watches them develop, and saves them. */
export async function generate(client: Darkroom, prompt: string | undefined, flags: Flags): Promise<void> {
	const { output = usualOutput, json } = flags
	const order = await orderOf(client, prompt, flags)
	// Whoever stops waiting does not want it any more, be it ordered just now.
	const left = new AbortController()
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
		process.once(signal, () => left.abort())
	}
	const { id } = await client.create(order)
	const stop = new AbortController()
	const cancel = () => void client.cancel(id).catch((error) => stop.abort(error))
	left.signal.addEventListener('abort', cancel)
	if (left.signal.aborted) {
		cancel()
	}
	const generation = await watch(client, id, stop.signal).catch((error) => {
		if (!(error instanceof DarkroomError)) {
			console.error(`${id} goes on, but nothing more is heard of it.`)
		}
		throw error
	})
	for (const image of generation.images) {
		const file = fileOf(image, output, generation.images.length)
		try {
			const bytes = await save(image, file)
			if (!json) {
				const shown = show?.(bytes, image.content_type, rows)
				console.log(shown ? `${shown}\n${file}` : file)
			}
		} catch (error) {
			// It was paid for.
			console.error(`${file}: ${(error as Error).message}; the picture is at ${image.url}`)
			process.exitCode = 1
		}
	}
	for (const { detail } of generation.warnings) {
		console.error(detail)
	}
	if (json) {
		console.log(JSON.stringify(generation, null, 2))
	}
	if (generation.status !== 'succeeded') {
		throw new CliError(`${generation.status}${generation.error ? `: ${generation.error.detail}` : ''}`)
	}
}

async function orderOf(client: Darkroom, prompt: string | undefined, flags: Flags): Promise<GenerationOrder> {
	const { output = usualOutput, size, sampler, negative } = flags
	const [, width, height] = /^(\d+)x(\d+)$/.exec(size ?? '') ?? []
	if (size !== undefined && !width) {
		throw new CliError(`--size: expected <width>x<height>, got ${size}`)
	}
	const output_format = formats[parse(output).ext.toLowerCase() as keyof typeof formats]
	if (!output_format) {
		throw new CliError(`--output: expected a name that ends with ${Object.keys(formats).join(', ')}, got ${output}`)
	}
	const folder = parse(output).dir || '.'
	await access(folder, constants.W_OK).catch((error: Error) => {
		throw new CliError(`--output: expected a folder that can be written to, got ${folder} (${error.message})`)
	})
	const order: Record<string, unknown> = {
		model: flags.model ?? (await client.models())[0]?.id,
		prompt,
		negative_prompt: negative,
		sampler,
		width: width && Number(width),
		height: height && Number(height),
		output_format,
		image: await inputOf('--image', flags.image),
		image_guidance: numberOf('--image-guidance', flags['image-guidance']),
		mask: await inputOf('--mask', flags.mask),
		semantic_map: await inputOf('--map', flags.map),
		control_image: await inputOf('--control-image', flags['control-image']),
		control_scale: numberOf('--control-scale', flags['control-scale']),
		control_start: numberOf('--control-start', flags['control-start']),
		control_end: numberOf('--control-end', flags['control-end']),
		layout: flags.box?.map(boxOf),
		class_label: flags.class !== undefined && /^\d+$/.test(flags.class) ? Number(flags.class) : flags.class
	}
	for (const name of ['steps', 'guidance', 'seed', 'count', 'strength'] as const) {
		order[name] = numberOf(`--${name}`, flags[name])
	}
	return order as GenerationOrder
}

function numberOf(name: string, text: string | undefined): number | undefined {
	if (text !== undefined && (text.trim() === '' || !Number.isFinite(Number(text)))) {
		throw new CliError(`${name}: expected a number, got ${text}`)
	}
	return text === undefined ? undefined : Number(text)
}

function boxOf(text: string) {
	const [, label = '', ...sides] = /^(.+):([^:,]+),([^:,]+),([^:,]+),([^:,]+)$/.exec(text) ?? []
	if (!label) {
		throw new CliError(`--box: expected <label>:<x0>,<y0>,<x1>,<y1>, got ${text}`)
	}
	const box = sides.map((side) => numberOf('--box', side))
	return { label: /^\d+$/.test(label) ? Number(label) : label, box }
}

/** A URL as it is, a file as a data URI: what it is the server sees for itself. */
async function inputOf(name: string, from: string | undefined): Promise<string | undefined> {
	if (from === undefined || /^(https?|data):/.test(from)) {
		return from
	}
	const bytes = await readFile(from).catch((error: Error) => {
		throw new CliError(`${name}: expected a file that can be read, or a URL, got ${from} (${error.message})`)
	})
	return `data:application/octet-stream;base64,${bytes.toString('base64')}`
}

type Image = Generation['images'][number]

function fileOf({ n }: Image, output: string, count: number): string {
	const { dir, name, ext } = parse(output)
	return count === 1 ? output : join(dir, `${name}-${n + 1}${ext}`)
}

async function save({ url, size }: Image, file: string): Promise<Buffer> {
	const answer = await fetch(url)
	if (!answer.ok) {
		throw new Error(`storage answered ${answer.status}`)
	}
	const bytes = Buffer.from(await answer.arrayBuffer())
	if (bytes.length !== size) {
		throw new Error(`expected ${size} bytes of storage, got ${bytes.length}`)
	}
	await writeFile(file, bytes)
	return bytes
}

/** Follows a generation to its end, where a person looks on with a bar, and with the first picture as it looks by now. */
async function watch(client: Darkroom, id: string, signal: AbortSignal): Promise<Generation> {
	const write = (text: string) => void (isWatched && process.stderr.write(text))
	const tell = (line: string) => write(`\r\x1b[K${line}`)
	// There is room below for the picture, so that nothing scrolls while the cursor goes there and comes back.
	write(show ? `${'\n'.repeat(rows + 1)}\x1b[${rows + 1}A` : '')
	for await (const event of client.events(id, signal, (error) => tell(error ? 'nothing is heard of it; trying again' : ''))) {
		switch (event.type) {
			case 'status':
				tell(event.status)
				break
			case 'queue':
				tell(`queued, ${event.position} ahead${event.eta === null ? '' : `, about ${inShort(event.eta)}`}`)
				break
			case 'progress': {
				const filled = Math.round((event.done / event.total) * 30)
				tell(`[${'#'.repeat(filled)}${' '.repeat(30 - filled)}] ${event.done}/${event.total}`)
				break
			}
			case 'preview': {
				const shown = event.n === 0 && show?.(Buffer.from(event.data, 'base64'), event.content_type, rows)
				write(shown ? `\x1b7\n${shown}\x1b8` : '')
				break
			}
			case 'end':
				tell(show ? '\x1b[J' : '')
				return event.generation
		}
	}
	throw new Error('the events ended before the generation')
}
