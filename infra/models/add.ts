import { chmodSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { Model } from '../../shared/catalog.ts'
import { changeCatalog, readCatalog } from './catalog-file.ts'
import { type Export, readExport } from './folder.ts'
import type { Staged } from './stage.ts'

export interface AddOptions {
	/** The export. */
	readonly source: string
	/** The name of the source's folder by default, or of the repository that it is a download of. */
	readonly id?: string | undefined
	/** Where a folder for it is made. */
	readonly modelsDir: string
	readonly catalogFile: string
	/** Does all of it, and keeps nothing. */
	readonly dryRun?: boolean | undefined
	/** Does what takes the graphs to be run, which may crash or never return. */
	readonly stage: (id: string, found: Export, staged: string) => Promise<Staged>
	/** Told once what was found, before anything is measured. */
	readonly onFound?: (found: Export) => void
}

export interface Added extends Staged {
	readonly found: Export
	/** Where it lies. */
	readonly folder: string
}

/**
 * Takes an ONNX export of diffusers' or Optimum's into the catalog: checks it, makes its U-Net take a timestep for each row and proves it, measures
 * what is to be known of it, and draws with each of its tasks. All of that in a folder beside the target, which gets its name at the end: whatever
 * goes wrong, nothing is written. Throws a ModelError that names the file at fault.
 */
export async function addModel(options: AddOptions): Promise<Added> {
	const { modelsDir, catalogFile, dryRun = false } = options
	const found = await readExport(options.source)
	const asked = options.id ?? slug(nameOf(found.folder))
	const id = Model.shape.id.safeParse(asked)
	if (!id.success) {
		const from = options.id === undefined ? `, made of the name ${nameOf(found.folder)}` : ''
		throw new Error(`--id: expected small letters, digits and hyphens, at most 63 of them, got ${JSON.stringify(asked)}${from}`)
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
	chmodSync(staged, 0o777 & ~process.umask()) // It was made for its owner alone, and a node may be another user.
	/** What people have is the source, not a copy that is gone. */
	const told = (text: string) => text.replaceAll(staged, found.folder)
	try {
		const added = await options.stage(id.data, found, staged).catch((error: Error) => {
			const isFull = error.message.startsWith('ENOSPC')
			throw isFull ? new Error(`${modelsDir}: expected a disk with room for ${found.size} bytes more, found it full`) : error
		})
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
		return { found, folder, ...added, notes: added.notes.map(told) }
	} catch (error) {
		const { name, message } = error as Error
		throw Object.assign(new Error(told(message), { cause: error }), { name })
	} finally {
		rmSync(staged, { recursive: true, force: true })
	}
}

/** Its own, or where that is of a commit, in huggingface_hub's cache, the repository's: `models--me--tiny-sd/snapshots/0123abc`. */
const nameOf = (folder: string): string =>
	/\/models--(?:[^/]*--)?([^/]+)\/snapshots\/[^/]+$/.exec(folder)?.[1] ?? path.basename(folder)

const slug = (name: string): string =>
	name
		.normalize('NFKD')
		.replace(/\p{Mark}/gu, '')
		.toLowerCase()
		.replace(/[^a-z0-9]+/g, '-')
		.replace(/^-+|-+$/g, '')
