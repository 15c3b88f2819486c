import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { ModelError } from './model-error.ts'

/** A JSON file of a model's folder, read through `schema`. Keys that the schema does not name are ignored: every exporter adds its own. */
export async function readConfig<S extends z.ZodType>(file: string, schema: S): Promise<z.infer<S>> {
	return parseConfig(file, await readJson(file), schema)
}

export async function readJson(file: string): Promise<unknown> {
	try {
		return JSON.parse(fromPython((await readFile(file, 'utf8')).replace(/^\ufeff/, ''))) // Editors on Windows begin with a mark.
	} catch (error) {
		const { code, message } = error as NodeJS.ErrnoException
		throw new ModelError(file, `expected a JSON file, ${code === 'ENOENT' ? 'found no file' : `got: ${message}`}`, {
			cause: error
		})
	}
}

export function parseConfig<S extends z.ZodType>(file: string, json: unknown, schema: S): z.infer<S> {
	const parsed = schema.safeParse(json)
	if (!parsed.success) {
		throw new ModelError(file, z.prettifyError(parsed.error).replaceAll('\n', ' '))
	}
	return parsed.data
}

/** Python writes infinity and NaN bare, which JSON does not have: diffusers' DPM-Solver saves `"lambda_min_clipped": -Infinity`. */
const fromPython = (text: string) =>
	text.replace(/"(?:[^"\\]|\\.)*"|Infinity|NaN/g, (token) => ({ Infinity: '1e999', NaN: 'null' })[token] ?? token)
