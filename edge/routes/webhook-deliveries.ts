import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Delivery, DeliveryStatus } from '../../shared/contract/webhooks.ts'
import type { Page } from '../account/page.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { type Answer, unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { quotaHeaders } from '../quotas.ts'
import { limitOf, nextOfSome } from './paging.ts'
import { json, problem } from './responses.ts'

const DeliveryId = z.string().regex(/^msg_[0-9a-z]{26}$/)
const params = z.object({ id: DeliveryId })

const list = createRoute({
	method: 'get',
	path: '/v1/webhooks/deliveries',
	summary: 'Messages to webhooks, sent or on their way, with their attempts; newest first',
	middleware: [withKey] as const,
	request: {
		query: z.strictObject({
			limit: limitOf(20, 100),
			cursor: DeliveryId.optional(),
			status: DeliveryStatus.optional(),
			generation: GenerationId.optional(),
			endpoint: z.string().max(64).optional()
		})
	},
	responses: {
		200: json(z.strictObject({ deliveries: z.array(Delivery), next: DeliveryId.nullable() }), nextOfSome),
		401: problem('unauthorized')
	}
})

const read = createRoute({
	method: 'get',
	path: '/v1/webhooks/deliveries/{id}',
	summary: 'A message, with its attempts',
	middleware: [withKey] as const,
	request: { params },
	responses: { 200: json(Delivery, 'The delivery'), 401: problem('unauthorized') }
})

const replay = createRoute({
	method: 'post',
	path: '/v1/webhooks/deliveries/{id}/replay',
	summary: 'Send a message again, under the same `webhook-id`',
	middleware: [withKey] as const,
	request: { params },
	responses: { 202: json(Delivery, 'The message, on its way'), 401: problem('unauthorized'), 429: problem('rate-limited') }
})

export const webhookDeliveries = (app: OpenAPIHono<App>) => {
	app.openapi(list, async (c) => {
		const { env, key } = c.var
		const { limit, cursor, ...filter } = c.req.valid('query')
		const listed = await env.ACCOUNT.getByName(key.account).deliveries(key.hash, filter, cursor, limit)
		const { items: deliveries, next } = unwrap(listed as Answer<Page<Delivery>>)
		return c.json({ deliveries, next }, 200)
	})
	app.openapi(read, async (c) => {
		const { env, key } = c.var
		return c.json(unwrap(await env.ACCOUNT.getByName(key.account).delivery(key.hash, c.req.valid('param').id)), 200)
	})
	app.openapi(replay, async (c) => {
		const { env, key } = c.var
		const { delivery, quotas } = unwrap(await env.ACCOUNT.getByName(key.account).replay(key.hash, c.req.valid('param').id))
		return c.json(delivery, 202, quotaHeaders(quotas))
	})
}
