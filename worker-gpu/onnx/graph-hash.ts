import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import path from 'node:path'

const hashes = new Map<string, Promise<string>>()

/**
 * Tells networks apart by what they are, wherever their folder lies: SHA-256 of `model.onnx`. Weights in files of their own beside it are not
 * read; the graph names them with their sizes.
 */
export function graphHash(folder: string): Promise<string> {
	const hash = hashes.get(folder) ?? sha256(path.join(folder, 'model.onnx'))
	hashes.set(folder, hash)
	return hash
}

async function sha256(file: string): Promise<string> {
	const hash = createHash('sha256')
	for await (const bytes of createReadStream(file)) {
		hash.update(bytes as Buffer)
	}
	return hash.digest('hex').slice(0, 16)
}
