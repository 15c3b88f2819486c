import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { root } from '../../test/root.ts'

/** What was measured, how much it is, and what it is to be. */
const Line = z.tuple([z.string(), z.string(), z.string()])
export type Line = z.infer<typeof Line>

/** Where they stay on that machine from one run to the next; and where they are picked up, if that is said. */
const folders = [path.join(root, '.data/gpu/results'), process.env.OUT].filter((folder) => folder !== undefined)

export async function writeResults(stage: string, lines: readonly Line[]): Promise<void> {
	for (const folder of folders) {
		await mkdir(folder, { recursive: true })
		await writeFile(path.join(folder, `${stage}.json`), JSON.stringify(lines, undefined, '\t'))
	}
}

/** Of this run and those before it. */
export async function readResults(stages: readonly string[]): Promise<[string, Line][]> {
	const found: [string, Line][] = []
	for (const stage of stages) {
		const text = await readFile(path.join(folders[0]!, `${stage}.json`), 'utf8').catch(() => '[]')
		found.push(
			...z
				.array(Line)
				.parse(JSON.parse(text))
				.map((line): [string, Line] => [stage, line])
		)
	}
	return found
}
