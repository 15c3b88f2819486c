import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { readFacts } from '../../worker-gpu/ldm/facts.ts'
import { readCatalog } from './catalog-file.ts'
import { table } from './table.ts'

/** The catalog as a table, and what else lies where its models do: an import that is killed leaves a folder. */
export async function listModels(modelsDir: string, catalogFile: string): Promise<string> {
	const models = readCatalog(catalogFile)
	const rows = await Promise.all(
		models.map(async ({ id, tasks, size }) => {
			const folder = path.join(modelsDir, id)
			const here = existsSync(folder)
			const { invariantFrom, rows } = here ? await readFacts(folder) : {}
			return [
				id,
				Object.keys(tasks).join(', '),
				`${size.min} to ${size.max}`,
				`${rows ?? invariantFrom ?? 'not measured'}`,
				here ? folder : `${folder} is missing`
			]
		})
	)
	const inside = existsSync(modelsDir) ? readdirSync(modelsDir, { withFileTypes: true }) : []
	const strays = inside
		.filter((entry) => entry.isDirectory() && models.every(({ id }) => id !== entry.name))
		.map(({ name }) => `${path.join(modelsDir, name)} is no model of the catalog. If no import is at work in it, remove it`)
	return [table([['id', 'tasks', 'size', 'same bits from', 'folder'], ...rows]), ...strays].join('\n')
}
