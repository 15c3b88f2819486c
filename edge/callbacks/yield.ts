import type { OpenAPIHono } from '@hono/zod-openapi'
import { YieldCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { unwrap } from '../errors.ts'
import { callback, Done } from './route.ts'

const route = callback('yield', YieldCall, Done, 'It is queued again')

/** A node that is about to stop hands back what it cannot finish. */
export const handBack = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		unwrap(await env.ACCOUNT.getByName(work.account).handBack(work))
		return c.json({}, 200)
	})
