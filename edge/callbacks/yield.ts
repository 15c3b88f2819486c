import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { YieldCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { json } from '../routes/responses.ts'
import { Done, refusals } from './answers.ts'
import { callbackPath, withWork } from './capability.ts'

const route = createRoute({
	method: 'post',
	path: callbackPath('yield'),
	hide: true,
	middleware: [withWork, limitBody] as const,
	request: { body: { required: true, content: { 'application/json': { schema: YieldCall } } } },
	responses: { 200: json(Done, 'It is queued again'), ...refusals }
})

/** A node that is about to stop hands back what it cannot finish. */
export const handBack = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		unwrap(await env.ACCOUNT.getByName(work.account).handBack(work))
		return c.json({}, 200)
	})
