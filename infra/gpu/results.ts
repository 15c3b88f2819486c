import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { root } from '../../test/root.ts'

const Line = z.object({
	what: z.string(),
	got: z.string(),
	/** What it is to be. */
	target: z.string().default(''),
	/** For other stages to compare with. */
	value: z.number().optional()
})
export type Line = z.infer<typeof Line>

/** Takes what a stage found, as soon as it is found: a stage may be stopped at any time. */
export type Report = (what: string, got: string, target?: string, value?: number) => Promise<void>

/** Where they stay on that machine from one run to the next; and where they are picked up, if that is said. */
const folders = [path.join(root, '.data/gpu/results'), process.env.OUT].filter((folder) => folder !== undefined)

/** @param quick whether nothing is measured, so that there is nothing to be reached */
export function reporter(stage: string, quick: boolean): Report {
	const lines: Line[] = []
	return async (what, got, wanted = '', value) => {
		const target = quick ? '' : wanted
		console.log(`  ${what.padEnd(64)} ${got.padEnd(24)} ${target}`)
		lines.push({ what, got, target, ...(value !== undefined && { value }) })
		await writeResults(stage, lines)
	}
}

export async function writeResults(stage: string, lines: readonly Line[]): Promise<void> {
	for (const folder of folders) {
		await mkdir(folder, { recursive: true })
		await writeFile(path.join(folder, `${stage}.json`), JSON.stringify(lines, undefined, '\t'))
	}
}

/** What a stage found, in this run or the last one in which it had its turn. */
export function readResults(stage: string): Line[] {
	try {
		return z.array(Line).parse(JSON.parse(readFileSync(path.join(folders[0]!, `${stage}.json`), 'utf8')))
	} catch {
		return []
	}
}
