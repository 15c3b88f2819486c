import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { ImageCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { json } from '../routes/responses.ts'
import { seeObject } from '../storage/receipt.ts'
import { Done, refusals } from './answers.ts'
import { callbackPath, objectKey, withWork } from './capability.ts'

const route = createRoute({
	method: 'post',
	path: callbackPath('image'),
	hide: true,
	middleware: [withWork, limitBody] as const,
	request: { body: { required: true, content: { 'application/json': { schema: ImageCall } } } },
	responses: { 200: json(Done, 'The picture is delivered'), ...refusals }
})

export const image = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		const picture = c.req.valid('json')
		// Invariant 3: seen first, here where awaiting is harmless; then captured in one transaction that reads everything again.
		const receipt = await seeObject(env, objectKey(work, picture.n), picture)
		unwrap(await env.ACCOUNT.getByName(work.account).capture(work, picture, receipt))
		return c.json({}, 200)
	})
