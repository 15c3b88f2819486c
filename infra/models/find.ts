import type { Entry } from './catalog-file.ts'

/** The model of that id, or a refusal that lists those that there are. */
export function find(models: readonly Entry[], id: string): Entry {
	const found = models.find((model) => model.id === id)
	if (!found) {
		throw new Error(`expected a model of the catalog (${models.map((model) => model.id).join(', ')}), got ${id}`)
	}
	return found
}
