import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { limitBody } from '../body.ts'
import { sha256 } from '../hmac.ts'
import { AccountId } from '../ids.ts'
import { mintKey } from '../keys.ts'
import { json, problem } from './responses.ts'

const Name = z.string().trim().min(1).max(64)

const route = createRoute({
	method: 'post',
	path: '/v1/admin/accounts/{account}/keys',
	summary: 'Make an API key, and its account when it is new',
	middleware: [withAdmin, limitBody] as const,
	request: {
		params: z.object({ account: AccountId }),
		body: { content: { 'application/json': { schema: z.strictObject({ name: Name.optional() }) } } }
	},
	responses: {
		201: json(z.strictObject({ account: AccountId, name: Name, key: z.string() }), 'The key. It is not shown again'),
		401: problem('unauthorized'),
		404: problem('not-found: the path names no possible account'),
		422: problem('invalid-request')
	}
})

export const createKey = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env } = c.var
		const { account } = c.req.valid('param')
		const { name = 'default' } = c.req.valid('json')
		const key = mintKey(env.DARKROOM_SECRET, account)
		await env.ACCOUNT.getByName(account).addKey(account, sha256(key), name)
		return c.json({ account, name, key }, 201)
	})
