import { z } from 'zod'
import type { FieldError } from '../shared/contract/problem.ts'
import { ProblemError } from './errors.ts'
import { Given } from './inputs/given.ts'

/** A body of nothing but unknown fields must not make an answer as large as itself. */
const mostErrors = 20
const longestText = 60

// Zod's issues do not tell which fields there are.
z.config({
	customError: (issue) =>
		issue.code === 'unrecognized_keys' && issue.inst instanceof z.ZodObject ? onlyOf(issue.inst) : undefined
})
const onlyOf = ({ shape }: z.ZodObject) => `only ${Object.keys(shape).join(', ')}`

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

/** What zod finds, in place of its error: to make one takes as long as to find it. */
class Findings {
	readonly issues: Issue[]

	constructor(issues: Issue[]) {
		this.issues = issues
	}
}
const safeParse = z.core._safeParse(Findings as unknown as z.core.$ZodErrorClass)

/** `input` as `schema` reads it, or an invalid-request problem that names every field at fault. */
export function parse<T extends z.ZodType>(schema: T, input: unknown): z.output<T> {
	const result = safeParse(schema, input)
	if (!result.success) {
		throw invalid(result.error, input, schema)
	}
	return result.data as z.output<T>
}

/** `schema`, where it is at hand, tells what zod's issues do not: the fields that there are, and which numbers are whole. */
export function invalid(error: Findings, input: unknown, schema?: z.ZodType): ProblemError {
	const found = error.issues.flatMap(meant)
	// Of what has a length, that is checked though it be of another type.
	const mistyped = new Set(found.filter(({ code }) => code === 'invalid_type').map(({ path }) => pointer(path)))
	const issues = found.filter((issue) => !(isOfLength(issue) && mistyped.has(pointer(issue.path))))
	const all = issues.slice(0, mostErrors).flatMap((issue) => fieldErrors(issue, input, fieldAt(schema, issue.path)))
	// What is wrong with a field in two ways is told in the narrower one, which is checked later.
	const errors = [...new Map(all.map((error) => [error.pointer, error])).values()]
	const keys = issues.reduce((sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1), 0)
	const count = keys - (all.length - errors.length)
	const fields = count === 1 ? 'One field is' : `${count} fields are`
	const detail = `${fields} not as expected: ${errors.slice(0, 3).map(summary).join('; ')}${count > 3 ? '; …' : '.'}`
	return new ProblemError({ code: 'invalid-request', detail, errors: errors.slice(0, mostErrors) })
}

/** A not-found problem about a path, of which a part names what there cannot be. */
export function impossible(error: Findings, path: string, parts: unknown): ProblemError {
	const faults = error.issues.flatMap((issue) => fieldErrors(issue, parts))
	return new ProblemError({ code: 'not-found', detail: `Nothing can be at ${path}: ${faults.map(summary).join('; ')}.` })
}

/** Of a field that may have several shapes, what is wrong with the one that it has. */
function meant(issue: Issue): Issue[] {
	const inside = issue.code === 'invalid_union' && issue.errors.find((branch) => branch.some(({ path }) => path.length > 0))
	return inside ? inside.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] })) : [issue]
}

const summary = ({ pointer, expected, received }: FieldError) => `${pointer || 'the body'}: expected ${expected}, got ${received}`

function fieldErrors(issue: Issue, input: unknown, field?: z.ZodType): FieldError[] {
	if (issue.code === 'unrecognized_keys') {
		const isWorded = !issue.message.startsWith('only ')
		const expected = isWorded && field instanceof z.ZodObject ? onlyOf(field) : issue.message
		const message = isWorded ? issue.message : 'There is no field of this name'
		return issue.keys.slice(0, mostErrors).map((key) => ({
			pointer: pointer([...issue.path, key]),
			detail: sentence(message),
			expected,
			received: `the field ${describe(key)}`
		}))
	}
	const received = describe(at(input, issue.path))
	const message = issue.code === 'invalid_type' && received === 'nothing' ? 'The field is missing' : issue.message
	return [{ pointer: pointer(issue.path), detail: sentence(message), expected: expectation(issue, field), received }]
}

/** The schema of one field, without its default. */
function fieldAt(schema: z.ZodType | undefined, path: Path): z.ZodType | undefined {
	let field: unknown = schema
	for (const key of path) {
		field = field instanceof z.ZodObject ? field.shape[key as string] : undefined
		while (field instanceof z.ZodDefault || field instanceof z.ZodOptional) {
			field = field.unwrap()
		}
	}
	return field instanceof z.ZodType ? field : undefined
}

function expectation(issue: Issue, field?: z.ZodType): string {
	switch (issue.code) {
		case 'invalid_type':
			if (issue.expected === 'int' || (field instanceof z.ZodNumber && field.isInt)) {
				return 'integer'
			}
			return issue.expected === 'record' ? 'object' : issue.expected
		case 'too_small':
			return `${issue.inclusive ? 'at least' : 'more than'} ${quantity(issue.minimum, issue.origin)}`
		case 'too_big':
			if (issue.origin === 'string' && issue.maximum === 0) {
				return 'no text'
			}
			return `${issue.inclusive ? 'at most' : 'less than'} ${quantity(issue.maximum, issue.origin)}`
		case 'not_multiple_of':
			return `a multiple of ${issue.divisor}`
		case 'invalid_value':
			return issue.values.map((value) => JSON.stringify(value)).join(' or ')
		case 'invalid_format':
			if (issue.format === 'regex') {
				return issue.message.startsWith('Invalid string') ? `text like ${issue.pattern}` : issue.message
			}
			return times[issue.format] ?? issue.format
		default:
			return issue.message
	}
}

const isOfLength = (issue: Issue): boolean =>
	(issue.code === 'too_small' || issue.code === 'too_big') && Object.hasOwn(units, issue.origin)

const times: Partial<Record<string, string>> = { date: 'a date like 2026-01-31', datetime: 'a time like 2026-01-31T12:00:00Z' }
const units: Partial<Record<string, string>> = { string: 'character', array: 'item' }
const quantity = (number: number | bigint, of: string) =>
	`${number}${units[of] ? ` ${units[of]}${Number(number) === 1 ? '' : 's'}` : ''}`
const sentence = (text: string) => (text.endsWith('.') ? text : `${text}.`)

/** A JSON pointer (RFC 6901). */
const pointer = (path: Path): string =>
	path.map((key) => `/${shorten(String(key).replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')

function at(input: unknown, path: Path): unknown {
	let value = input
	for (const key of path) {
		value = typeof value === 'object' && value !== null && Object.hasOwn(value, key) ? (value as never)[key] : undefined
	}
	return value
}

/** What came, short enough for a log line and without anything that is not printable. */
export function describe(value: unknown): string {
	if (value === undefined) {
		return 'nothing'
	}
	if (typeof value === 'string') {
		return value.length > longestText
			? `${JSON.stringify(beginning(value)).slice(0, -1)}…" (${z.core.util.codePointLength(value)} characters)`
			: JSON.stringify(value)
	}
	if (value instanceof Given) {
		return String(value)
	}
	if (Array.isArray(value)) {
		const isShort = value.length > 0 && value.length <= 8 && value.every((item) => typeof item === 'number')
		return isShort ? JSON.stringify(value) : `an array of ${value.length}`
	}
	return typeof value === 'object' && value !== null ? 'an object' : String(value)
}

const shorten = (text: string) => (text.length > longestText ? `${beginning(text)}…` : text)
/** Without half a letter at its end. */
const beginning = (text: string) => text.slice(0, longestText).replace(/[\ud800-\udbff]$/, '')
