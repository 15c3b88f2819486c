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
	const own = (await readdir(folder)).map((name) => [name, path.join(folder, name)] as const)
	const hash = createHash('sha256')
	for (const [name, at] of [...own, ...(await lentParts(folder))].sort(([a], [b]) => (a < b ? -1 : 1))) {
		const files = (await stat(at)).isDirectory() ? (await readdir(at)).sort() : ['']
		for (const file of files) {
			const whole = path.join(at, file)
			if ((await stat(whole)).isFile()) {
				hash.update(`${name}/${file} ${await fileHash(whole)}\n`)
			}
		}
	}
	return hash.digest('hex')
}
