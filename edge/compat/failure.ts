import type { Context } from 'hono'
import type { Generation } from '../../shared/contract/generation.ts'
import type { FieldError, Problem } from '../../shared/contract/problem.ts'
import { onError, ProblemError, problemType } from '../errors.ts'
import { Refused } from './native.ts'

/**
 * Whatever was thrown, as the problem that the native API would answer with, and the headers of that answer; but for a limit of spending. Vendors' clients
 * repeat a 429 within seconds, in which that does not pass: to vendors it is money that lacks, as for want of credit (help.openai.com, 6891831).
 */
export async function problemOf(error: Error, c: Context): Promise<{ problem: Problem; headers: Headers }> {
	if (error instanceof Refused) {
		const { problem, headers } = error
		return { problem: problem.type === problemType('spend-limit') ? { ...problem, status: 402 } : problem, headers }
	}
	const answer = onError(error, c)
	return { problem: await answer.json(), headers: answer.headers }
}

/** Why a generation that has ended has no pictures to answer with, as a problem for clients whose calls end with the pictures. */
export function failureOf({ id, status, error }: Generation): Problem {
	const { type, title, detail } = error ?? {
		type: `urn:darkroom:problem:${status}`,
		title: `The generation was ${status}`,
		detail: `Generation ${id} was ${status} before its pictures were there.`
	}
	const failed = type === problemType('input-unreadable') ? 422 : 500
	return { type, title, detail, status: status === 'failed' ? failed : 409, instance: id }
}

/** What was expected of a field; where there is none of its name in an order, the fields that there are, by a vendor's names. */
export const expectedBy = (
	nameOf: (field: string) => string,
	{ pointer, expected }: FieldError,
	others: string[] = []
): string => {
	const [, fields] = (pointer.lastIndexOf('/') === 0 && /^only (.+)$/.exec(expected)) || []
	return fields ? `only ${[...new Set([...others, ...fields.split(', ').map(nameOf)])].join(', ')}` : expected
}

/** What a vendor has and we have not, as a problem that its adapter words; `there` says what we have. */
export const notServed = (call: string, there: string): ProblemError =>
	new ProblemError({ code: 'not-found', detail: `${call} is not served here; there are ${there}.` })
