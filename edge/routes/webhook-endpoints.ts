import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Delivery, Endpoint, EndpointChange, EndpointRequest } from '../../shared/contract/webhooks.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { quotaHeaders } from '../quotas.ts'
import { json, problem } from './responses.ts'

const params = z.object({ id: z.string().regex(/^wh_[0-9a-z]{26}$/) })

const list = createRoute({
	method: 'get',
	path: '/v1/webhooks',
	summary: 'The webhooks that are told of every generation',
	middleware: [withKey] as const,
	responses: {
		200: json(z.strictObject({ webhooks: z.array(Endpoint) }), 'All webhooks of the account'),
		401: problem('unauthorized')
	}
})

const add = createRoute({
	method: 'post',
	path: '/v1/webhooks',
	summary: 'Add a webhook, a URL that is told of every generation; one that is there already is told of these events from now on',
	middleware: [withKey, limitBody] as const,
	request: { body: { required: true, content: { 'application/json': { schema: EndpointRequest } } } },
	responses: {
		201: json(Endpoint, 'The webhook, which is told from now on'),
		401: problem('unauthorized'),
		409: problem('too-many-webhooks')
	}
})

const read = createRoute({
	method: 'get',
	path: '/v1/webhooks/{id}',
	summary: 'A webhook',
	middleware: [withKey] as const,
	request: { params },
	responses: { 200: json(Endpoint, 'The webhook'), 401: problem('unauthorized') }
})

const change = createRoute({
	method: 'patch',
	path: '/v1/webhooks/{id}',
	summary:
		'Change the URL or events of a webhook, or switch it off or on again. Messages on their way to it when it is switched off count as failed',
	middleware: [withKey, limitBody] as const,
	request: { params, body: { required: true, content: { 'application/json': { schema: EndpointChange } } } },
	responses: { 200: json(Endpoint, 'The webhook as it is now'), 401: problem('unauthorized') }
})

const remove = createRoute({
	method: 'delete',
	path: '/v1/webhooks/{id}',
	summary: 'Remove a webhook',
	middleware: [withKey] as const,
	request: { params },
	responses: {
		204: { description: 'The webhook is gone; messages on their way to it count as failed' },
		401: problem('unauthorized')
	}
})

const ping = createRoute({
	method: 'post',
	path: '/v1/webhooks/{id}/ping',
	summary: 'Send a webhook a message of type `ping`, to see whether it arrives',
	middleware: [withKey] as const,
	request: { params },
	responses: { 202: json(Delivery, 'The message, on its way'), 401: problem('unauthorized'), 429: problem('rate-limited') }
})

export const webhookEndpoints = (app: OpenAPIHono<App>) => {
	app.openapi(list, async (c) => {
		const { env, key } = c.var
		return c.json({ webhooks: unwrap(await env.ACCOUNT.getByName(key.account).endpoints(key.hash)) }, 200)
	})
	app.openapi(add, async (c) => {
		const { env, key } = c.var
		return c.json(unwrap(await env.ACCOUNT.getByName(key.account).addEndpoint(key.hash, c.req.valid('json'))), 201)
	})
	app.openapi(read, async (c) => {
		const { env, key } = c.var
		return c.json(unwrap(await env.ACCOUNT.getByName(key.account).endpoint(key.hash, c.req.valid('param').id)), 200)
	})
	app.openapi(change, async (c) => {
		const { env, key } = c.var
		const account = env.ACCOUNT.getByName(key.account)
		return c.json(unwrap(await account.changeEndpoint(key.hash, c.req.valid('param').id, c.req.valid('json'))), 200)
	})
	app.openapi(remove, async (c) => {
		const { env, key } = c.var
		unwrap(await env.ACCOUNT.getByName(key.account).removeEndpoint(key.hash, c.req.valid('param').id))
		return c.body(null, 204)
	})
	app.openapi(ping, async (c) => {
		const { env, key } = c.var
		const { delivery, quotas } = unwrap(await env.ACCOUNT.getByName(key.account).ping(key.hash, c.req.valid('param').id))
		return c.json(delivery, 202, quotaHeaders(quotas))
	})
}
