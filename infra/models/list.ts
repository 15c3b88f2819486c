import { existsSync } from 'node:fs'
import path from 'node:path'
import { readFacts } from '../../worker-gpu/ldm/facts.ts'
import { readCatalog } from './catalog-file.ts'
import { table } from './table.ts'

/** The catalog as a table. */
export async function listModels(modelsDir: string, catalogFile: string): Promise<string> {
	const rows = await Promise.all(
		readCatalog(catalogFile).map(async ({ id, tasks, size }) => {
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
	return table([['id', 'tasks', 'size', 'same bits from', 'folder'], ...rows])
}
