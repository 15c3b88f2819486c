import { readdirSync, readFileSync } from 'node:fs'
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

/** Where they stay on that machine from one run to the next: a file for each stage, or each model of one. */
const folder = path.join(root, '.data/gpu/results')

/** @param quick whether nothing is measured, so that there is nothing to be reached */
export function reporter(run: string, quick: boolean): Report {
	const lines: Line[] = []
	let written = Promise.resolve()
	return async (what, got, wanted = '', value) => {
		const target = quick ? '' : wanted
		console.log(`  ${what.padEnd(64)} ${got.padEnd(24)} ${target}`)
		lines.push({ what, got, target, ...(value !== undefined && { value }) })
		// One after the other, whoever tells.
		written = written.then(() => writeResults(run, lines))
		await written
	}
}

/** All together they are picked up in $OUT, if that is set. */
export async function writeResults(run: string, lines: readonly Line[]): Promise<void> {
	await mkdir(folder, { recursive: true })
	await writeFile(path.join(folder, `${run}.json`), JSON.stringify(lines, undefined, '\t'))
	if (process.env.OUT) {
		await mkdir(process.env.OUT, { recursive: true })
		await writeFile(path.join(process.env.OUT, 'results.json'), JSON.stringify(allResults(), undefined, '\t'))
	}
}

/** What a stage found, in this run or the last one in which it had its turn. */
export function readResults(run: string): Line[] {
	try {
		return z.array(Line).parse(JSON.parse(readFileSync(path.join(folder, `${run}.json`), 'utf8')))
	} catch {
		return []
	}
}

export function allResults(): Record<string, Line[]> {
	const runs = readdirSync(folder).map((file) => file.replace(/\.json$/, ''))
	return Object.fromEntries(runs.map((run) => [run, readResults(run)]))
}
