import { problemType } from '../errors.ts'

/** Why a generation can end as `failed`. */
const failures = {
	'engine-failed': 'The picture could not be developed',
	'input-unreadable': 'A file that the order names is no whole picture',
	'attempts-exhausted': 'Every attempt was lost'
} as const
export type Failure = keyof typeof failures

export const failureOf = (code: Failure, detail: string) => ({ type: problemType(code), title: failures[code], detail })
