import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { FieldError, Problem } from '../../../shared/contract/problem.ts'
import { expectedBy } from '../failure.ts'
import { theirFields } from './request.ts'

/** The native API's fields by OpenAI's names. */
const params = new Map([
	['count', 'n'],
	['width', 'size'],
	['height', 'size'],
	['output_quality', 'output_compression']
])

/** Their statuses, where they are not ours. */
const statuses: Record<number, ContentfulStatusCode> = { 402: 429, 422: 400 }

const paramOf = (field: string): string => params.get(field) ?? field

interface OpenAIError {
	message: string
	type: string
	param: string | null
	code: string | null
}

export function errorOf({ status, detail, type, errors }: Problem): OpenAIError {
	const fields = errors?.map((error) => ({ ...error, ...namesOf(error) })) ?? []
	const told = fields.map((field) => `${field.name}: expected ${expectedBy(paramOf, field, theirFields)}, got ${field.received}`)
	const code = type.split(':').at(-1)!.replaceAll('-', '_')
	return {
		message: told.length > 0 ? `${told.join('; ')}.` : detail,
		type:
			status >= 500
				? 'server_error'
				: status === 429
					? 'rate_limit_error'
					: status === 402
						? 'insufficient_quota'
						: 'invalid_request_error',
		param: fields[0]?.param || null,
		code: { 401: 'invalid_api_key', 402: 'insufficient_quota', 429: 'rate_limit_exceeded' }[status] ?? code
	}
}

/** Its field by OpenAI's name; and how it is called in a text, by ours as well where that tells more. */
function namesOf({ pointer }: FieldError): { param: string; name: string } {
	const [first = '', ...rest] = pointer.split('/').slice(1)
	const param = paramOf(first)
	return { param, name: [param === first ? param || 'the body' : `${param} (${first})`, ...rest].join('.') }
}

/** Their clients repeat 408, 409, 429 and 5xx by themselves, unless told that it is of no use. */
export function respondError(c: Context, problem: Problem, { isFinal = false } = {}): Response {
	const isPassing = !isFinal && (problem.status === 429 || problem.status >= 500)
	const status = statuses[problem.status] ?? (problem.status as ContentfulStatusCode)
	return c.json({ error: errorOf(problem) }, status, { 'x-should-retry': String(isPassing) })
}
