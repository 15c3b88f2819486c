import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { WebhookSecret } from '../../shared/contract/webhooks.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { unwrap } from '../errors.ts'
import { json, problem } from './responses.ts'

const read = createRoute({
	method: 'get',
	path: '/v1/webhooks/secret',
	summary: 'What the account’s webhooks are signed with',
	middleware: [withKey] as const,
	responses: { 200: json(WebhookSecret, 'The secret; made now, if there was none'), 401: problem('unauthorized') }
})

const rotate = createRoute({
	method: 'post',
	path: '/v1/webhooks/secret/rotate',
	summary: 'Make a new secret; for a day the old one signs beside it',
	middleware: [withKey] as const,
	responses: { 200: json(WebhookSecret, 'The new secret'), 401: problem('unauthorized') }
})

export const webhookSecret = (app: OpenAPIHono<App>) => {
	app.openapi(read, async (c) => {
		const { env, key } = c.var
		return c.json(unwrap(await env.ACCOUNT.getByName(key.account).webhookSecret(key.hash)), 200)
	})
	app.openapi(rotate, async (c) => {
		const { env, key } = c.var
		return c.json(unwrap(await env.ACCOUNT.getByName(key.account).rotateWebhookSecret(key.hash)), 200)
	})
}
