import type { OpenAPIHono } from '@hono/zod-openapi'
import { ImageCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { unwrap } from '../errors.ts'
import { seeObject } from '../storage/receipt.ts'
import { objectKey } from './capability.ts'
import { callback, Done } from './route.ts'

const route = callback('image', ImageCall, Done, 'The picture is delivered')

export const image = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		const picture = c.req.valid('json')
		// Invariant 3: seen first, here where awaiting is harmless; then captured in one transaction that reads everything again.
		const receipt = await seeObject(env, objectKey(work, picture.n), picture)
		unwrap(await env.ACCOUNT.getByName(work.account).capture(work, picture, receipt))
		return c.json({}, 200)
	})
