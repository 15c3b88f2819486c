import { z } from 'zod'
import { WebhookTarget } from './webhooks.ts'

/** Seconds: the longest that R2 signs a URL for, and the furthest that a deadline may lie ahead. */
export const week = 7 * 24 * 3_600

export const Priority = z.enum(['low', 'normal'])
export type Priority = z.infer<typeof Priority>

const Deadline = z
	.union([z.number().min(0.1).max(week), z.iso.datetime({ offset: true })], {
		error: `Seconds from now, 0.1 to ${week}, or an ISO 8601 time`
	})
	.nullable()
	.default(null)

/** How an order is to be served. Fields of `POST /v1/generations` beside those that say what is drawn; none changes a picture. */
export const Terms = z.strictObject({
	priority: Priority.default('normal').describe(
		"`low` lets everyone's normal work go first, though not for ever; `normal` where it is absent."
	),
	deadline: Deadline.describe(
		'The work ends then at the latest: seconds from now, or a time. What is not delivered by then costs nothing.'
	),
	start_deadline: Deadline.describe(
		'The work ends then if no node has started it yet. Work that was started and lost, and waits for another node, is left alone.'
	),
	url_ttl: z
		.int()
		.min(60)
		.max(week)
		.default(3_600)
		.describe(
			'Seconds that each signed picture URL lives, and up to a quarter more, for it stays the same a while; 3600 where it is absent.'
		),
	webhook: WebhookTarget.nullable().default(null).describe("A URL that is told how it goes, besides the account's own webhooks.")
})
export type Terms = z.infer<typeof Terms>
