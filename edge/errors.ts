import type { Context } from 'hono'
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { FieldError, Problem } from '../shared/contract/problem.ts'
import { type Quota, quotaHeaders } from './quotas.ts'

/** Every problem that this API can answer with. The status is nowhere else. */
const problems = {
	'malformed-json': [400, 'The body is not JSON'],
	'malformed-form': [400, 'The body is not a form'],
	unauthorized: [401, 'No valid credentials'],
	'insufficient-credit': [402, 'There is not enough credit'],
	forbidden: [403, 'The key may not do that'],
	'not-found': [404, 'Not found'],
	'method-not-allowed': [405, 'Method not allowed'],
	'malformed-header': [400, 'A header is not as expected'],
	archived: [410, 'The generation is in the archive'],
	superseded: [409, 'Another attempt at this generation was granted'],
	'too-slow': [408, 'The body came too slowly'],
	'broken-off': [400, 'The body broke off'],
	'not-ended': [409, 'The generation has not ended'],
	ended: [409, 'The generation has ended'],
	'reference-reused': [409, 'The reference names another credit'],
	'not-seen': [409, 'The object is not in storage as reported'],
	undelivered: [409, 'Pictures are missing'],
	'in-use': [409, 'A generation still needs it'],
	'too-many-webhooks': [409, 'The account has as many webhooks as it may have'],
	'too-many-keys': [409, 'The account has as many keys as it may have'],
	'payload-too-large': [413, 'The body is too large'],
	'unsupported-media-type': [415, 'Unsupported media type'],
	'invalid-request': [422, 'The request is invalid'],
	'idempotency-key-reused': [422, 'The idempotency key belongs to another request'],
	'unknown-model': [422, 'There is no such model'],
	'rate-limited': [429, 'Too many requests'],
	'too-many-in-flight': [429, 'Too many pictures in flight'],
	'spend-limit': [429, 'The spend limit is reached'],
	busy: [503, 'Too much is sent at once'],
	unavailable: [503, 'Not to be reached for a moment'],
	internal: [500, 'Something went wrong on our side']
} as const satisfies Record<string, readonly [ContentfulStatusCode, string]>
type Code = keyof typeof problems

export const problemType = (code: string): string => `urn:darkroom:problem:${code}`

/** A problem as plain data: error classes do not survive the way between Durable Objects. */
export interface Fault {
	code: Code
	detail: string
	errors?: FieldError[]
	/** Micro-units. */
	needed?: number
	available?: number
	/** Limits that were exceeded, how limits stand, and the seconds after which it can succeed: for the headers of a 429. */
	'violated-policies'?: string[]
	quotas?: Quota[]
	retryAfter?: number
}

export class ProblemError extends Error {
	override name = 'ProblemError' as const
	readonly fault: Fault

	constructor(fault: Fault) {
		// It is an answer, and where it was thrown is nobody's business: to write down the stack would take longer than all else.
		const { stackTraceLimit } = Error
		Error.stackTraceLimit = 0
		super(`${fault.code}: ${fault.detail}`)
		Error.stackTraceLimit = stackTraceLimit
		this.fault = fault
	}
}

/** What an object's RPC method answers. */
export type Answer<T> = { value: T } | { fault: Fault }

/** Runs `work`; a problem that it throws becomes an answer, anything else stays an error. */
export function answer<T>(work: () => T): Answer<T> {
	try {
		return { value: work() }
	} catch (error) {
		if (error instanceof ProblemError) {
			return { fault: error.fault }
		}
		throw error
	}
}

export function unwrap<T>(answered: Answer<T>): T {
	if ('fault' in answered) {
		throw new ProblemError(answered.fault)
	}
	return answered.value
}

export function respond(
	c: Context,
	{ code, detail, quotas, retryAfter, ...more }: Fault,
	headers: Record<string, string> = {}
): Response {
	const [status, title] = problems[code]
	const problem: Problem = { type: problemType(code), title, status, detail, instance: c.get('requestId') }
	return new Response(JSON.stringify({ ...problem, ...more }), {
		status,
		headers: {
			...headers,
			...(quotas && quotaHeaders(quotas)),
			...(retryAfter !== undefined && { 'retry-after': String(retryAfter) }),
			...(status === 401 && { 'www-authenticate': 'Bearer realm="darkroom"' }),
			'content-type': 'application/problem+json'
		}
	})
}

/** What a body says that it is, for a text. */
export const typeOf = (c: Context): string => c.req.header('content-type')?.slice(0, 80) ?? 'none'

export const unsupported = (c: Context, expected = 'application/json in UTF-8'): Fault => ({
	code: 'unsupported-media-type',
	detail: `Expected content-type ${expected}, got ${typeOf(c)}.`
})

/**
 * Whether it passes by itself: an object was reset, as all are at a deployment, or has more to do than it can
 * (developers.cloudflare.com/durable-objects/best-practices/error-handling). Nobody knows whether it did what it was asked to.
 */
const isPassing = (error: object): boolean =>
	['durableObjectReset', 'overloaded', 'retryable'].some((mark) => mark in error && error[mark as keyof typeof error] === true)

export function onError(error: Error, c: Context): Response {
	if (error instanceof ProblemError) {
		return respond(c, error.fault)
	}
	// Thrown by the validators of @hono/zod-openapi before our own see the body.
	if (error instanceof HTTPException && error.status === 400) {
		return respond(c, { code: 'malformed-json', detail: 'The body could not be parsed as JSON.' })
	}
	if (error instanceof HTTPException && error.status === 415) {
		return respond(c, unsupported(c))
	}
	console.error(JSON.stringify({ request: c.get('requestId'), error: error.stack ?? String(error) }))
	const detail = `The error was logged under the request id ${c.get('requestId')}.`
	return respond(c, isPassing(error) ? { code: 'unavailable', detail, retryAfter: 1 } : { code: 'internal', detail })
}
