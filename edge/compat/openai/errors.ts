import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { Problem } from '../../../shared/contract/problem.ts'

/** The native API's fields by OpenAI's names. */
const params: Record<string, string> = {
	count: 'n',
	width: 'size',
	height: 'size',
	output_quality: 'output_compression'
}

/** Their statuses, where they are not ours. */
const statuses: Record<number, ContentfulStatusCode> = { 402: 429, 422: 400 }

export interface OpenAIError {
	message: string
	type: string
	param: string | null
	code: string | null
}

export function errorOf({ status, detail, type, errors }: Problem): OpenAIError {
	const field = errors?.[0]?.pointer.split('/')[1]
	const code = type.split(':').at(-1)!.replaceAll('-', '_')
	return {
		message: detail,
		type:
			status >= 500
				? 'server_error'
				: status === 429
					? 'rate_limit_error'
					: status === 402
						? 'insufficient_quota'
						: 'invalid_request_error',
		param: field ? (params[field] ?? field) : null,
		code: { 401: 'invalid_api_key', 402: 'insufficient_quota', 429: 'rate_limit_exceeded' }[status] ?? code
	}
}

/** Their clients repeat 408, 409, 429 and 5xx by themselves, unless told that it is of no use. */
export function respondError(c: Context, problem: Problem, { isFinal = false } = {}): Response {
	const isPassing = !isFinal && (problem.status === 429 || problem.status >= 500)
	const status = statuses[problem.status] ?? (problem.status as ContentfulStatusCode)
	return c.json({ error: errorOf(problem) }, status, { 'x-should-retry': String(isPassing) })
}
