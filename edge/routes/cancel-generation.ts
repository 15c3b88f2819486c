import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Generation } from '../../shared/contract/generation.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { present } from './present.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'post',
	path: '/v1/generations/{id}/cancel',
	summary: 'End a generation. Pictures that are delivered stay, and stay charged; once it has ended this changes nothing',
	middleware: [withKey] as const,
	request: { params: z.object({ id: GenerationId }) },
	responses: {
		200: json(Generation, 'The generation, which has ended'),
		401: problem('unauthorized')
	}
})

export const cancelGeneration = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, key } = c.var
		const canceled = unwrap(await env.ACCOUNT.getByName(key.account).cancel(key.hash, c.req.valid('param').id))
		return c.json(await present(env, canceled), 200)
	})
