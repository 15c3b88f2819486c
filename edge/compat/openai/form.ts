import type { Context } from 'hono'
import type { z } from 'zod'
import { GenerationOrder } from '../../../shared/contract/order.ts'
import { readForm, readJson } from '../../body.ts'
import { Given } from '../../inputs/given.ts'
import { parse } from '../../issues.ts'
import { refuse } from '../../refuse.ts'
import { Fields } from '../fields.ts'
import { nativeName } from './request.ts'

/** What a form's texts may mean, of which some are numbers in JSON. */
const expected = new Map<string, z.ZodType>(
	Object.entries({ ...GenerationOrder.shape, output_compression: GenerationOrder.shape.output_quality })
)

/** Lists of a form have brackets, and in ruby-openai's numbers within. */
const isImage = /^(images|image(\[\d*\])?)$/

/** The body of an edit or a variation, JSON or a form, as one object: `image` and `mask` are what the native API takes. */
export async function readEdit(c: Context): Promise<Record<string, unknown>> {
	const isForm = /^multipart\/form-data/i.test(c.req.header('content-type') ?? '')
	const body = isForm ? await fieldsOf(c) : parse(Fields, await readJson(c))
	const { mask, ...fields } = body
	const given = Object.entries(fields).flatMap(([name, value]) => (isImage.test(name) ? value : []))
	const [first, ...more] = given.filter((one) => one !== null)
	if (first === undefined || more.length > 0) {
		refuse('/image', 'one image', first === undefined ? 'none' : `${more.length + 1}`)
	}
	const others = Object.fromEntries(Object.entries(fields).filter(([name]) => !isImage.test(name)))
	return { ...others, image: inputOf(first, '/image'), ...(mask ? { mask: inputOf(mask, '/mask') } : {}) }
}

async function fieldsOf(c: Context): Promise<Record<string, unknown>> {
	const form = Object.entries(await readForm(c))
	// go-openai writes the fields that it was not given, too, without a value; and async-openai some of them twice. OpenAI's own has `null` for none.
	const given = form
		.map(([name, value]) => [name, once(value)] as const)
		.filter(([name, value]) => value !== '' && (value !== 'null' || name === 'prompt'))
	return Object.fromEntries(given.map(([name, value]) => [name, typeof value === 'string' ? fromText(name, value) : value]))
}

/** A text that was given several times as if it were one. */
const once = (value: unknown): unknown =>
	Array.isArray(value) && typeof value[0] === 'string' && new Set(value).size === 1 ? value[0] : value

function fromText(name: string, text: string): unknown {
	const isNumber = text.trim() !== '' && Number.isFinite(Number(text))
	if (isNumber && expected.get(nativeName(name))?.safeParse(text).success === false) {
		return Number(text)
	}
	// Python writes a capital.
	return name === 'stream' && /^(true|false)$/i.test(text) ? text.toLowerCase() === 'true' : text
}

/** What came with the request is an input as it is; a reference (`image_url` or `file_id`) is a URL, a data URI or an upload's id. */
function inputOf(value: unknown, pointer: string): string | Given {
	if (Array.isArray(value)) {
		refuse(pointer, 'one image', String(value.length))
	}
	const isReference = typeof value === 'object' && value !== null && !(value instanceof Given)
	const [reference, ...more] = isReference ? Object.values(value).filter((one) => one !== null) : [value]
	if (!(typeof reference === 'string' || reference instanceof Given) || more.length > 0) {
		refuse(pointer, 'a file, or { "image_url" } or { "file_id" }', JSON.stringify(value).slice(0, 60))
	}
	return reference
}
