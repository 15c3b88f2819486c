import { constants, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { Model } from '../../shared/catalog.ts'
import { loadCheckpoint } from '../../worker-gpu/ldm/checkpoint.ts'
import { tokenizerJson } from '../../worker-gpu/ldm/conditioners/tokenizer-json.ts'
import { FACTS, type Facts } from '../../worker-gpu/ldm/facts.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import { changeCatalog, type Entry, readCatalog } from './catalog-file.ts'
import { missingConfigs } from './configs.ts'
import { catalogEntry, type Sizes, tryTasks } from './entry.ts'
import { type Export, readExport } from './folder.ts'
import { LARGEST_BATCH, measureInvariance } from './invariance.ts'
import { fitPreview } from './preview.ts'
import { proveTimestep } from './prove.ts'
import { isPerRow, rewriteTimestep } from './timestep.ts'
import { ask, madeUpRows, unetSizes, withPart } from './unet.ts'

export interface AddOptions {
	/** The export. */
	readonly source: string
	/** The name of the source's folder by default. */
	readonly id?: string | undefined
	/** Where a folder for it is made. */
	readonly modelsDir: string
	readonly catalogFile: string
	/** Does all of it, and keeps nothing. */
	readonly dryRun?: boolean | undefined
	readonly provider: Provider
	/** Told once what was found, before anything is measured. */
	readonly onFound?: (found: Export) => void
	/** Told what goes on. Gives what is to be called `total` times. */
	readonly progress?: (label: string, total: number) => () => void
}

export interface Added {
	readonly found: Export
	readonly entry: Entry
	readonly facts: Facts
	/** Where it lies. */
	readonly folder: string
	/** What was changed on the way in, and what is left out. */
	readonly notes: readonly string[]
}

/**
 * Takes an ONNX export of diffusers' or Optimum's into the catalog: checks it, makes its U-Net take a timestep for each row and proves it, measures
 * what is to be known of it, and draws with each of its tasks. All of that in a folder beside the target, which gets its name at the end: whatever
 * goes wrong, nothing is written. Throws a ModelError that names the file at fault.
 */
export async function addModel(options: AddOptions): Promise<Added> {
	const { modelsDir, catalogFile, dryRun = false, progress = () => () => {} } = options
	const found = await readExport(options.source)
	const id = Model.shape.id.safeParse(options.id ?? slug(path.basename(found.folder)))
	if (!id.success) {
		throw new Error(`--id: expected small letters, digits and hyphens, at most 63 of them, got ${JSON.stringify(options.id)}`)
	}
	const folder = path.join(modelsDir, id.data)
	const taken = () => {
		if (readCatalog(catalogFile).some((model) => model.id === id.data) || existsSync(folder)) {
			throw new Error(`--id: expected one that is free, but ${id.data} is taken (${folder})`)
		}
	}
	taken()
	options.onFound?.(found)

	mkdirSync(modelsDir, { recursive: true })
	const staged = mkdtempSync(path.join(modelsDir, `.${id.data}-`))
	const clear = () => rmSync(staged, { recursive: true, force: true })
	process.once('exit', clear)
	try {
		const added = await stage(id.data, found, staged, options.provider, progress)
		if (!dryRun) {
			taken()
			renameSync(staged, folder)
			try {
				changeCatalog(catalogFile, (models) => [...models, added.entry])
			} catch (error) {
				rmSync(folder, { recursive: true })
				throw error
			}
		}
		return { found, folder, ...added }
	} catch (error) {
		// What people have is the source, not a copy that is gone.
		const message = (error as Error).message.replaceAll(staged, found.folder)
		throw error instanceof ModelError ? Object.assign(new Error(message, { cause: error }), { name: error.name }) : error
	} finally {
		process.off('exit', clear)
		clear()
	}
}

async function stage(
	id: string,
	found: Export,
	staged: string,
	provider: Provider,
	progress: (label: string, total: number) => () => void
): Promise<Pick<Added, 'entry' | 'facts' | 'notes'>> {
	const notes: string[] = []
	const unet = found.graphs.get('unet')
	const timestep = unet?.inputs.get('timestep')
	if (!unet || !timestep) {
		throw new ModelError(
			path.join(found.folder, 'unet/model.onnx'),
			`expected a U-Net with the input timestep, found no ${unet ? 'input' : 'file'}`
		)
	}
	const original = path.join(found.folder, 'unet')
	const rewritten = path.join(staged, 'unet')
	const rewrite = !isPerRow(timestep)

	const copied = progress('copying  ', found.files.length)
	for (const name of found.files) {
		await mkdir(path.dirname(path.join(staged, name)), { recursive: true })
		if (rewrite && name === path.join('unet', 'model.onnx')) {
			await rewriteTimestep(unet.file, path.join(rewritten, 'model.onnx'))
		} else {
			// No copy at all where the file system can share blocks.
			await copyFile(path.join(found.folder, name), path.join(staged, name), constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
		}
		copied()
	}
	for (const name of found.oldTokenizers) {
		await writeFile(path.join(staged, name, 'tokenizer.json'), JSON.stringify(await tokenizerJson(path.join(staged, name))))
		notes.push(`${name}/tokenizer.json was made of the older files`)
	}

	const factor = await firstStageFactor(staged, found, provider)
	for (const [name, config] of Object.entries(missingConfigs(found, factor))) {
		await writeFile(path.join(staged, name, 'config.json'), JSON.stringify(config))
		notes.push(`${name}/config.json was made of the graph, and is Stable Diffusion's in all that the graph does not say`)
	}

	const { trained, multiple } = await unetSizes(rewritten)
	const small = Math.min(trained, Math.ceil(16 / multiple) * multiple)
	const proving = progress('proving  ', 1)
	await proveTimestep(original, rewritten, provider, small)
	proving()
	notes.push(
		rewrite
			? `timestep: ${timestep.type} [${timestep.dims}] was rewritten to one float for each row, and two timesteps in one batch proven`
			: 'timestep: one for each row as it is, and two timesteps in one batch proven'
	)

	const { invariantFrom, fixed } = await withPart(rewritten, provider, async (part) => {
		const free = await ask(part, madeUpRows(part, 1, small, small + multiple), { data: [1], dims: [1] }, 1).then(
			() => true,
			() => false
		)
		const one: [number, number] = [trained, trained]
		const two: [number, number][] = [
			[small, small],
			[small, small + multiple]
		]
		const sizes = free ? two : [one]
		const measuring = progress('measuring', sizes.length * LARGEST_BATCH)
		return { invariantFrom: await measureInvariance(part, sizes, measuring), fixed: !free }
	})
	if (invariantFrom === undefined) {
		notes.push(
			`rows of no batch smaller than ${LARGEST_BATCH} have the same bits in larger ones: pictures depend on their company by a rounding`
		)
	}
	if (fixed) {
		notes.push('the U-Net takes one size only')
	}
	const pixels = (latents: number) => Math.max(multiple, Math.round(latents / multiple) * multiple) * factor
	const sizes: Sizes = {
		default: pixels(trained),
		min: pixels(fixed ? trained : Math.ceil(trained / 2)),
		max: pixels(fixed ? trained : Math.max(trained, Math.min(2 * trained, 1024 / factor))),
		multiple: multiple * factor,
		factor
	}

	const facts = invariantFrom === undefined ? {} : { invariantFrom }
	const write = (known: Facts) => writeFile(path.join(staged, FACTS), `${JSON.stringify(known)}\n`)
	await write(facts)
	const checkpoint = await loadCheckpoint(staged, provider, { milliseconds: 0 })
	const drawing = progress('drawing  ', Object.keys(checkpoint).length)
	const tried = await tryTasks(checkpoint, found, sizes, drawing)
	const { preview, explained } = fitPreview(tried.pairs)
	await write({ ...facts, preview })
	notes.push(...tried.notes, `previews from latents explain ${Math.round(100 * explained)} % of the colours`)
	const text = found.files.some((name) => name.startsWith('tokenizer'))
	return { entry: await catalogEntry(id, staged, found, sizes, tried, text), facts: { ...facts, preview }, notes }
}

/** Pixels that a latent stands for, along each side, as the decoder has it; 1 where there is none. */
async function firstStageFactor(staged: string, { graphs }: Export, provider: Provider): Promise<number> {
	const name = ['vae_decoder', 'vqvae_decoder'].find((name) => graphs.has(name))
	if (!name) {
		return 1
	}
	return withPart(path.join(staged, name), provider, async (part) => {
		const channels = part.inputs.get('latent_sample')?.dims[1]
		if (typeof channels !== 'number') {
			throw new ModelError(
				part.folder,
				'expected the input latent_sample [batch, channels, height, width] with a fixed number of channels'
			)
		}
		const dims = [1, channels, 8, 8]
		const [image] = await part.run({ latent_sample: { data: new Float32Array(channels * 64), dims } }, [
			[...part.outputs.keys()][0]!
		])
		const factor = image!.dims[2]! / 8
		if (!Number.isInteger(Math.log2(factor))) {
			throw new ModelError(part.folder, `expected pictures 1, 2, 4, 8 … times as large as their latents, got ${factor} times`)
		}
		return factor
	})
}

const slug = (name: string): string =>
	name
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, '-')
		.replace(/^-+|-+$/g, '')
