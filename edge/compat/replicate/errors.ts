import type { Problem } from '../../../shared/contract/problem.ts'
import { problemType } from '../../errors.ts'
import { expectedBy } from '../failure.ts'
import { theirName } from './input.ts'

/** As Replicate calls them; clients and those who wrote them look for these. */
const titles: Record<string, string> = {
	[problemType('unauthorized')]: 'Unauthenticated',
	[problemType('invalid-request')]: 'Input validation failed',
	[problemType('unknown-model')]: 'Invalid version or not permitted'
}
/** Native fields that come from elsewhere than `input`. */
const outside = new Map([
	['webhook', 'webhook'],
	['deadline', 'Cancel-After'],
	['model', 'version']
])

/**
 * A problem as Replicate words it: RFC 7807, with the fields at fault in `invalid_fields` and one to a line in `detail`
 * (https://replicate.com/changelog/2024-05-01-improved-validation-for-api-prediction-payloads).
 *
 * @param isNative whether the fields are those of the native request that a prediction's input became
 */
export function errorOf({ errors, ...problem }: Problem, isNative: boolean) {
	const title = titles[problem.type] ?? problem.title
	const invalid_fields = errors?.map((error) => ({
		type: error.received === 'nothing' ? 'required' : 'invalid',
		field: fieldAt(error.pointer.split('/').slice(1), isNative),
		description: `expected ${isNative ? expectedBy(theirName, error) : error.expected}, got ${error.received}`
	}))
	const detail = invalid_fields?.map(({ field, description }) => `- ${field}: ${description}\n`).join('') ?? problem.detail
	return { ...problem, title, detail, ...(invalid_fields && { invalid_fields }) }
}

function fieldAt([first = '', ...rest]: string[], isNative: boolean): string {
	if (isNative && outside.has(first)) {
		return outside.get(first)!
	}
	const path = !isNative ? [first || 'body'] : first ? ['input', theirName(first)] : ['input']
	return [...path, ...rest].join('.')
}
