import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { fileHash } from '../onnx/file-hash.ts'
import { lentParts } from './model-folder.ts'

/**
 * Tells models apart by all that their pictures come of, wherever they lie: every file of a model's folder and of its parts', its own and those that
 * others lend it. Networks that encode decide a latent's way as much as the U-Net does.
 */
export async function modelHash(folder: string): Promise<string> {
	return hashOf([...(await entriesOf(folder)), ...(await lentParts(folder))])
}

/** Tells versions of the code here apart, by which pictures go from step to step: what a sampler remembers means something to its own alone. */
export const codeHash = async (): Promise<string> => hashOf(await entriesOf(import.meta.dirname))

type Entry = readonly [name: string, at: string]

const entriesOf = async (folder: string): Promise<Entry[]> =>
	(await readdir(folder)).map((name) => [name, path.join(folder, name)] as const)

async function hashOf(entries: Entry[]): Promise<string> {
	const hash = createHash('sha256')
	for (const [name, at] of entries.sort(([a], [b]) => (a < b ? -1 : 1))) {
		const files = (await stat(at)).isDirectory() ? (await readdir(at)).sort() : ['']
		for (const file of files) {
			const whole = path.join(at, file)
			// Containers are made without tests.
			if (!whole.endsWith('.test.ts') && (await stat(whole)).isFile()) {
				hash.update(`${name}/${file} ${await fileHash(whole)}\n`)
			}
		}
	}
	return hash.digest('hex')
}
