import { week } from '../../../shared/contract/terms.ts'
import { ProblemError } from '../../errors.ts'

/** Seconds of an `x-fal-request-timeout` header, in which a request has to start; after that it may take as long as it takes. */
export function startTimeoutOf(header: string | undefined): number | undefined {
	if (header === undefined) {
		return undefined
	}
	const seconds = Number(header)
	if (!/^\d+(\.\d+)?$/.test(header) || seconds <= 0.1 || seconds > week) {
		throw new ProblemError({
			code: 'malformed-header',
			detail: `x-fal-request-timeout: expected seconds, more than 0.1 and at most ${week}, got ${JSON.stringify(header.slice(0, 60))}.`
		})
	}
	return seconds
}
