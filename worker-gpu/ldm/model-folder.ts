import { existsSync } from 'node:fs'
import path from 'node:path'
import { ModelError } from '../onnx/model-error.ts'
import type { Part } from '../onnx/part.ts'
import type { Provider } from '../onnx/provider.ts'
import { FACTS, type Facts, readFacts } from './facts.ts'

/** A model's folder, as its family reads it. A part lies in it, or in the folder of another model that its darkroom.json names. */
export interface ModelFolder {
	readonly path: string
	/** The class of the pipeline that its model_index.json names. */
	readonly pipeline: string
	readonly provider: Provider
	readonly facts: Facts
	/** Whether it has a part of this name. */
	has(name: string): boolean
	/** The folder of a part: its config.json, a tokenizer's files. */
	at(name: string): string
	/** Loads `<name>/model.onnx`. */
	part(name: string): Promise<Part>
}

/** Where each part lies that another model lends. Throws a ModelError where it does not, or where the model has one of its own. */
export async function lentParts(folder: string): Promise<Map<string, string>> {
	const { parts = {} } = await readFacts(folder)
	return new Map(
		Object.entries(parts).map(([name, lender]) => {
			const lent = path.join(path.dirname(folder), lender, name)
			const wrong = existsSync(path.join(folder, name))
				? `expected no ${name} beside it, which the model has of its own`
				: existsSync(lent)
					? undefined
					: `expected ${lent}, found nothing`
			if (wrong) {
				throw new ModelError(path.join(folder, FACTS), `parts.${name}: ${wrong}`)
			}
			return [name, lent]
		})
	)
}

/** @param load loads the graph of a part's folder */
export async function openFolder(
	folder: string,
	pipeline: string,
	provider: Provider,
	load: (folder: string) => Promise<Part>
): Promise<ModelFolder> {
	const lent = await lentParts(folder)
	const at = (name: string) => lent.get(name) ?? path.join(folder, name)
	return {
		path: folder,
		pipeline,
		provider,
		facts: await readFacts(folder),
		has: (name) => existsSync(at(name)),
		at,
		part: (name) => load(at(name))
	}
}
