import { z } from 'zod'

/** One thing wrong with a request. `pointer` is a JSON pointer (RFC 6901) into its body. */
export const FieldError = z.strictObject({
	pointer: z.string(),
	detail: z.string(),
	expected: z.string(),
	received: z.string()
})
export type FieldError = z.infer<typeof FieldError>

/** Problem details (RFC 9457), sent as application/problem+json. */
export const Problem = z.strictObject({
	type: z.string(),
	title: z.string(),
	status: z.int(),
	detail: z.string(),
	instance: z.string().describe("The request's id, as in the x-request-id header."),
	errors: z.array(FieldError).optional(),
	needed: z.int().optional().describe('Micro-units, where credit does not suffice.'),
	available: z.int().optional(),
	'violated-policies': z
		.array(z.string())
		.optional()
		.describe('The limits that were exceeded (draft-ietf-httpapi-ratelimit-headers).')
})
export type Problem = z.infer<typeof Problem>
