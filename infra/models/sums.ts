import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'

/** As `sha256sum -c` reads it, too. */
const SUMS = 'SHA256SUMS'

/** Writes down what these files of the folder are, for {@link checkSums}. */
export async function writeSums(folder: string, names: readonly string[]): Promise<void> {
	const lines: string[] = []
	// A name of several lines, which only somebody's joke would have, would make of the others what they are not.
	for (const name of names.filter((name) => /^.+$/.test(name))) {
		lines.push(`${await sumOf(path.join(folder, name))}  ${name}\n`)
	}
	await writeFile(path.join(folder, SUMS), lines.join(''))
}

/** Throws a ModelError at the first file of the folder that is not what was written down; of a folder without sums nothing is known, nor of a file that is gone. */
export async function checkSums(folder: string): Promise<void> {
	const file = path.join(folder, SUMS)
	const lines = existsSync(file) ? (await readFile(file, 'utf8')).trimEnd().split('\n') : []
	for (const line of lines) {
		const [, sum, name] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? []
		if (name === undefined) {
			throw new ModelError(file, `expected lines of sha256sum, got ${JSON.stringify(line)}`)
		}
		const listed = path.join(folder, name)
		if (existsSync(listed) && (await sumOf(listed)) !== sum) {
			throw new ModelError(
				listed,
				`expected the file that was added, by its line in ${file}, got another: add the model again, or mend the line`
			)
		}
	}
}

async function sumOf(file: string): Promise<string> {
	const hash = createHash('sha256')
	await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash)
	return hash.digest('hex')
}
