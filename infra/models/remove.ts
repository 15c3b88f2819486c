import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { readFacts } from '../../worker-gpu/ldm/facts.ts'
import { changeCatalog, readCatalog } from './catalog-file.ts'
import { find } from './find.ts'

/** Takes a model out of the catalog, then deletes its folder. Gives the bytes of its files. Refuses one whose parts others have. */
export async function removeModel(modelsDir: string, catalogFile: string, id: string): Promise<number> {
	const models = readCatalog(catalogFile)
	find(models, id)
	const borrowers: string[] = []
	for (const { id: other } of models) {
		if (other === id) {
			continue // A model whose own files are broken can go.
		}
		const { parts = {} } = await readFacts(path.join(modelsDir, other))
		if (Object.values(parts).includes(id)) {
			borrowers.push(other)
		}
	}
	if (borrowers.length > 0) {
		throw new Error(
			`expected a model that lends no parts to others, but ${borrowers.join(', ')} would miss those of ${id}: remove them first`
		)
	}
	if (models.length === 1) {
		throw new Error(`expected a catalog with other models, but ${id} is the last: add another one first`)
	}
	const folder = path.join(modelsDir, id)
	const files = existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }) : []
	const size = files.reduce((sum, name) => sum + lstatSync(path.join(folder, name)).size, 0)
	changeCatalog(catalogFile, (current) => current.filter((model) => model.id !== id))
	rmSync(folder, { recursive: true, force: true })
	return size
}
