import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { FinishCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { json } from '../routes/responses.ts'
import { Done, refusals } from './answers.ts'
import { callbackPath, checkpointKey, withWork } from './capability.ts'

const route = createRoute({
	method: 'post',
	path: callbackPath('finish'),
	hide: true,
	middleware: [withWork, limitBody] as const,
	request: { body: { required: true, content: { 'application/json': { schema: FinishCall } } } },
	responses: { 200: json(Done, 'The generation has ended'), ...refusals }
})

export const finish = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		unwrap(await env.ACCOUNT.getByName(work.account).finish(work, c.req.valid('json')))
		// Those of earlier epochs too; a list, for R2 has no prefixes to delete.
		const checkpoints = Array.from({ length: work.epoch }, (_, i) => checkpointKey({ ...work, epoch: i + 1 }))
		c.executionCtx.waitUntil(env.BUCKET.delete(checkpoints).catch(() => {}))
		return c.json({}, 200)
	})
