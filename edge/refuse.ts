import { ProblemError } from './errors.ts'

/** An invalid-request problem about one field. */
export function refuse(pointer: string, expected: string, received: string): never {
	throw new ProblemError({
		code: 'invalid-request',
		detail: `${pointer}: expected ${expected}, got ${received}.`,
		errors: [{ pointer, detail: 'It cannot be used.', expected, received }]
	})
}
