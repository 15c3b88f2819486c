import { Priority, week } from '../../../shared/contract/terms.ts'
import { ProblemError } from '../../errors.ts'

/** Seconds of an `x-fal-request-timeout` header, in which a request has to start; after that it may take as long as it takes. */
export function startTimeoutOf(header: string | undefined): number | undefined {
	const seconds = Number(header)
	if (header !== undefined && (!/^\d+(\.\d+)?$/.test(header) || seconds <= 0.1 || seconds > week)) {
		return refuse('x-fal-request-timeout', `seconds, more than 0.1 and at most ${week}`, header)
	}
	return header === undefined ? undefined : seconds
}

/** An `x-fal-queue-priority` header. */
export function priorityOf(header: string | undefined): Priority | undefined {
	const { success, data } = Priority.optional().safeParse(header)
	return success ? data : refuse('x-fal-queue-priority', Priority.options.join(' or '), header!)
}

function refuse(name: string, expected: string, header: string): never {
	const got = JSON.stringify(header.slice(0, 60))
	throw new ProblemError({ code: 'malformed-header', detail: `${name}: expected ${expected}, got ${got}.` })
}
