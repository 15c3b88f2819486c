import { existsSync, lstatSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { changeCatalog, readCatalog } from './catalog-file.ts'
import { find } from './find.ts'

/** Takes a model out of the catalog, then deletes its folder. Gives the bytes of its files. */
export function removeModel(modelsDir: string, catalogFile: string, id: string): number {
	const models = readCatalog(catalogFile)
	find(models, id)
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
