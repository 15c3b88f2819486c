import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { ModelError } from './model-error.ts'

/** A JSON file of a model's folder, read through `schema`. Keys that the schema does not name are ignored: every exporter adds its own. */
export async function readConfig<S extends z.ZodType>(file: string, schema: S): Promise<z.infer<S>> {
	let json: unknown
	try {
		json = JSON.parse(await readFile(file, 'utf8'))
	} catch (error) {
		throw new ModelError(file, `expected a JSON file, got: ${(error as Error).message}`, { cause: error })
	}
	const parsed = schema.safeParse(json)
	if (!parsed.success) {
		throw new ModelError(file, z.prettifyError(parsed.error).replaceAll('\n', ' '))
	}
	return parsed.data
}
