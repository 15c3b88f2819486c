import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { problem } from './responses.ts'

const route = createRoute({
	method: 'delete',
	path: '/v1/generations/{id}',
	summary:
		'Forget a generation: its prompt and its pictures. One that has not ended is canceled; what it cost stays in the ledger',
	middleware: [withKey] as const,
	request: { params: z.object({ id: GenerationId }) },
	responses: {
		204: { description: 'The generation is gone; its pictures leave storage within a minute' },
		401: problem('unauthorized'),
		404: problem('not-found: also when it was deleted before')
	}
})

export const deleteGeneration = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, key } = c.var
		unwrap(await env.ACCOUNT.getByName(key.account).delete(key.hash, c.req.valid('param').id))
		return c.body(null, 204)
	})
