import type { OpenAPIHono } from '@hono/zod-openapi'
import { FinishCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { unwrap } from '../errors.ts'
import { checkpointKey } from './capability.ts'
import { callback, Done } from './route.ts'

const route = callback('finish', FinishCall, Done, 'The generation has ended')

export const finish = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		unwrap(await env.ACCOUNT.getByName(work.account).finish(work, c.req.valid('json')))
		// Those of earlier epochs too; a list, for R2 has no prefixes to delete.
		const checkpoints = Array.from({ length: work.epoch }, (_, i) => checkpointKey({ ...work, epoch: i + 1 }))
		c.executionCtx.waitUntil(env.BUCKET.delete(checkpoints).catch(() => {}))
		return c.json({}, 200)
	})
