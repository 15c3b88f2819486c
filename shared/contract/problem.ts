import { z } from 'zod'

/** One thing wrong with a request. */
export const FieldError = z.strictObject({
	pointer: z.string().describe('A JSON pointer (RFC 6901) into the body; or `/` and the name of a parameter.'),
	detail: z.string(),
	expected: z.string(),
	received: z.string()
})
export type FieldError = z.infer<typeof FieldError>

/** Problem details (RFC 9457), sent as application/problem+json. */
export const Problem = z.strictObject({
	type: z.string().describe('Which error it is, for programs: `urn:darkroom:problem:` and its code.'),
	title: z.string().describe('The same for all errors of its type.'),
	status: z.int(),
	detail: z.string().describe('What is wrong this time, for people.'),
	instance: z.string().describe("The request's id, as in the x-request-id header."),
	errors: z.array(FieldError).optional().describe('Each field that is not as expected.'),
	needed: z.int().optional().describe('Micro-units, where credit does not suffice.'),
	available: z.int().optional().describe('Micro-units that there are.'),
	'violated-policies': z
		.array(z.string())
		.optional()
		.describe('The limits that were exceeded (draft-ietf-httpapi-ratelimit-headers).')
})
export type Problem = z.infer<typeof Problem>
