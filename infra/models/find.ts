import type { Model } from '../../shared/catalog.ts'

/** The model of that id, or a refusal that lists those that there are. */
export function find(models: readonly Model[], id: string): Model {
	const found = models.find((model) => model.id === id)
	if (!found) {
		throw new Error(`expected a model of the catalog (${models.map((model) => model.id).join(', ')}), got ${id}`)
	}
	return found
}
