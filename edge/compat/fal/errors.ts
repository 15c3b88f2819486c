import type { Context } from 'hono'
import type { Generation } from '../../../shared/contract/generation.ts'
import type { Problem } from '../../../shared/contract/problem.ts'
import { problemType } from '../../errors.ts'
import { expectedBy, failureOf } from '../failure.ts'
import { theirPath } from './input.ts'

/** How a generation ends without pictures, in fal's words (https://fal.ai/docs/documentation/model-apis/request-errors). */
const endings: Partial<Record<Generation['status'], { status: number; error_type: string }>> = {
	canceled: { status: 499, error_type: 'client_cancelled' },
	expired: { status: 504, error_type: 'request_timeout' },
	failed: { status: 500, error_type: 'runner_server_error' }
}

/**
 * 422 has FastAPI's shape, from which their client makes a ValidationError. Each has a message, too: else that client has the status's words in its place,
 * and of these HTTP/2 has none.
 */
function errorOf({ type, status, detail, errors }: Problem): object {
	if (statusOf({ type, status }) !== 422) {
		return { message: detail, detail }
	}
	if (!errors) {
		return { message: detail, detail: [{ loc: ['body'], msg: detail, type: 'value_error' }] }
	}
	const fields = errors.map((error) => ({
		loc: pathOf(error.pointer.split('/').slice(1)),
		msg: `Expected ${expectedBy((field) => theirPath(field)[0]!, error)}, got ${error.received}`,
		type: error.received === 'nothing' ? 'missing' : 'value_error'
	}))
	return { message: fields.map(({ loc, msg }) => `${loc.slice(1).join('.') || 'body'}: ${msg}`).join('; '), detail: fields }
}

const pathOf = ([first, ...rest]: string[]): string[] =>
	first === 'webhook' ? ['query', 'fal_webhook'] : ['body', ...(first ? theirPath(first) : []), ...rest]

export function respondError(c: Context, problem: Problem, retryAfter: string | null = null): Response {
	return c.json(errorOf(problem), statusOf(problem) as 400, {
		// Their client has it in its errors, and the log tells more under it.
		'x-fal-request-id': problem.instance,
		...(retryAfter && { 'retry-after': retryAfter })
	})
}

/** For a generation that has ended without its pictures. */
export function failedOf(generation: Generation) {
	const { status, error_type } = endings[generation.status] ?? { status: 500, error_type: 'internal_error' }
	const { detail, status: ours } = failureOf(generation)
	if (ours === 422) {
		const error_type = 'image_load_error'
		const [field = ''] = detail.split(':')
		const told = [{ loc: ['body', ...theirPath(field)], msg: detail, type: error_type }]
		return { status: ours, body: { message: detail, detail: told, error_type } }
	}
	return { status, body: { message: detail, detail, error_type } }
}

export function respondFailed(c: Context, generation: Generation): Response {
	const { status, body } = failedOf(generation)
	return c.json(body, status as 500, {
		'x-fal-error-type': body.error_type,
		// Their clients would ask again for what was too late.
		...(status === 504 && { 'x-fal-request-timeout-type': 'user' })
	})
}

/** The app is their address, not a field; and their Python client takes a 409 for something that passes, and asks ten times. */
const statusOf = ({ type, status }: Pick<Problem, 'type' | 'status'>) =>
	type === problemType('unknown-model') ? 404 : status === 409 ? 400 : status
