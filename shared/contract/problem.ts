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
	/** The request's id, as in the x-request-id header. */
	instance: z.string(),
	errors: z.array(FieldError).optional(),
	/** Micro-units, where credit does not suffice. */
	needed: z.int().optional(),
	available: z.int().optional(),
	/** The limits that were exceeded (draft-ietf-httpapi-ratelimit-headers). */
	'violated-policies': z.array(z.string()).optional()
})
export type Problem = z.infer<typeof Problem>
