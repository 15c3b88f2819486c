/** As much of an OpenAPI document as our own has. */
export interface Document {
	components: { schemas: Record<string, Schema> }
	info: { description: string }
	servers: { url: string }[]
	paths: Record<string, Record<string, Operation>>
}

export interface Operation {
	operationId: string
	summary?: string
	description?: string
	tags: string[]
	security: Record<string, unknown>[]
	parameters?: { name: string; in: string; required?: boolean; description?: string; schema: Schema }[]
	requestBody?: { content: Content }
	responses: Record<string, { description: string; content?: Content }>
}

export type Content = Record<string, { schema: Schema; example?: object }>

export interface Schema {
	type?: string | string[]
	description?: string
	properties?: Record<string, Schema>
	required?: string[]
	items?: Schema
	anyOf?: Schema[]
	oneOf?: Schema[]
	enum?: unknown[]
	const?: unknown
	default?: unknown
	format?: string
	minimum?: number
	maximum?: number
	minLength?: number
	maxLength?: number
	minItems?: number
	maxItems?: number
	/** Of the JSON that a string holds. */
	contentSchema?: Schema
}

/** The document with schemas where they are used, in place of references to them. */
export function spelledOut(document: Document): Document {
	const at = (value: unknown): unknown => {
		if (typeof value !== 'object' || value === null) {
			return value
		}
		if ('$ref' in value) {
			return at(document.components.schemas[String(value.$ref).replace('#/components/schemas/', '')])
		}
		return Array.isArray(value)
			? value.map(at)
			: Object.fromEntries(Object.entries(value).map(([name, part]) => [name, at(part)]))
	}
	return at(document) as Document
}

/** A schema's type in a few words: `integer 1–8`, `"low" or "normal"`, `array of string`. */
export function typeOf(schema: Schema): string {
	const choices = schema.anyOf ?? schema.oneOf
	if (choices) {
		return [...new Set(choices.map(typeOf))].join(' or ')
	}
	if (schema.enum) {
		return schema.enum.map((value) => JSON.stringify(value)).join(' or ')
	}
	if (schema.const !== undefined) {
		return JSON.stringify(schema.const)
	}
	const type = [schema.type ?? 'anything'].flat().join(' or ')
	if (schema.items) {
		return `array of ${typeOf(schema.items)}${within(schema.minItems, schema.maxItems, ' items')}`
	}
	if (type.includes('string')) {
		return `${type}${schema.format ? ` (${schema.format})` : ''}${within(schema.minLength, schema.maxLength, ' characters')}`
	}
	return `${type}${within(schema.minimum, schema.maximum)}`
}

function within(least: number | undefined, most: number | undefined, unit = ''): string {
	// Every whole number is bounded by what doubles can count.
	const highest = most === Number.MAX_SAFE_INTEGER ? undefined : most
	const lowest = least === Number.MIN_SAFE_INTEGER ? undefined : least
	if (lowest === undefined && highest === undefined) {
		return ''
	}
	const span = [...new Set([lowest, highest])].join(' to ')
	const bound = lowest === undefined ? `at most ${highest}` : highest === undefined ? `at least ${lowest}` : span
	return `, ${bound}${Number(bound.match(/\d+$/)) === 1 ? unit.replace(/s$/, '') : unit}`
}

/** The fields of a schema by their paths: `images[].url`. */
export function fieldsOf(schema: Schema, path = ''): { path: string; schema: Schema; required: boolean }[] {
	if (schema.items) {
		return fieldsOf(schema.items, `${path}[]`)
	}
	if (schema.contentSchema) {
		return fieldsOf(schema.contentSchema, path)
	}
	const alternatives = schema.anyOf ?? schema.oneOf
	if (alternatives) {
		return alternatives.flatMap((alternative) => fieldsOf(alternative, path))
	}
	return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
		const at = path ? `${path}.${name}` : name
		return [{ path: at, schema: field, required: schema.required?.includes(name) ?? false }, ...fieldsOf(field, at)]
	})
}
