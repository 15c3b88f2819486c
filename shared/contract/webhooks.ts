import { z } from 'zod'

/** What can happen to a generation. */
export const EventName = z.enum([
	'generation.started',
	'generation.image',
	'generation.completed',
	'generation.failed',
	'generation.canceled',
	'generation.expired'
])
export type EventName = z.infer<typeof EventName>

/** How a generation can end: what is told where nothing else is asked for. */
export const endings: EventName[] = ['generation.completed', 'generation.failed', 'generation.canceled', 'generation.expired']

const Url = z.string().min(1).max(2_000)
const Events = z.array(EventName).min(1).max(EventName.options.length)

/** Whose shape the body has: ours, or that of the vendor whose client asked for it. */
export const WebhookFormat = z.enum(['darkroom', 'replicate', 'fal'])
export type WebhookFormat = z.infer<typeof WebhookFormat>

/** A generation's own webhook: a URL, or one with the events that it is told of. */
export const WebhookTarget = z.union(
	[
		Url,
		z.strictObject({
			url: Url,
			events: Events.default(endings).describe('How it ends, where it is absent.'),
			format: WebhookFormat.default('darkroom').describe('Whose shape the messages have; `darkroom` where it is absent.')
		})
	],
	{
		error: 'A URL, or { "url", "events" }'
	}
)
export type WebhookTarget = z.infer<typeof WebhookTarget>

/** A URL alone is told how it ends. */
export const targetOf = (webhook: WebhookTarget): Exclude<WebhookTarget, string> =>
	typeof webhook === 'string' ? { url: webhook, events: endings, format: 'darkroom' } : webhook

/** `POST /v1/webhooks`: a place that is told of all the account's generations. */
export const EndpointRequest = z.strictObject({ url: Url, events: Events.default(endings) })
export type EndpointRequest = z.infer<typeof EndpointRequest>

/** `PATCH /v1/webhooks/{id}`. */
export const EndpointChange = z.strictObject({ url: Url, events: Events, enabled: z.boolean() }).partial()
export type EndpointChange = z.infer<typeof EndpointChange>

const Time = z.iso.datetime()

export const Endpoint = z.strictObject({
	id: z.string(),
	url: z.string(),
	events: z.array(EventName),
	enabled: z.boolean().describe('Becomes false when it answers 410.'),
	created_at: Time
})
export type Endpoint = z.infer<typeof Endpoint>

export const Attempt = z.strictObject({
	at: Time,
	status: z.int().nullable().describe('The HTTP status that came back; null when none did.'),
	error: z.string().nullable().describe("What went wrong, or the beginning of a refusal's body."),
	duration_ms: z.int()
})
export type Attempt = z.infer<typeof Attempt>

export const DeliveryStatus = z.enum(['pending', 'delivered', 'failed'])
export type DeliveryStatus = z.infer<typeof DeliveryStatus>

/** One event on its way to one receiver. */
export const Delivery = z.strictObject({
	id: z.string().describe('The `webhook-id` of every attempt.'),
	endpoint: z.string().nullable().describe("The account's endpoint; null when the URL came with the generation."),
	url: z.string(),
	type: z.union([EventName, z.literal('ping')]),
	generation: z.string().nullable(),
	status: DeliveryStatus,
	attempts: z.array(Attempt).describe('The latest ones, oldest first.'),
	next_attempt_at: Time.nullable(),
	created_at: Time
})
export type Delivery = z.infer<typeof Delivery>

/** `GET /v1/webhooks/secret`. The previous one signs, too, until it expires. */
export const WebhookSecret = z.strictObject({ secret: z.string(), previous_expires_at: Time.nullable() })
export type WebhookSecret = z.infer<typeof WebhookSecret>
