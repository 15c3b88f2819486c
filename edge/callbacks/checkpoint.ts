import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { createMiddleware } from 'hono/factory'
import { mostCheckpointBytes } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { ProblemError, unwrap } from '../errors.ts'
import { json } from '../routes/responses.ts'
import { callbackPath, checkpointKey, withWork } from './capability.ts'
import { Done } from './route.ts'

/** The body is streamed into R2, which takes only streams of announced length; workerd cuts off what is longer. */
const announced = createMiddleware<App>(async function announced(c, next) {
	const length = Number(c.req.header('content-length') ?? Number.NaN)
	if (!(length > 0 && length <= mostCheckpointBytes)) {
		const detail = `Expected a content-length from 1 to ${mostCheckpointBytes}, got ${c.req.header('content-length') ?? 'none'}.`
		throw new ProblemError({ code: 'payload-too-large', detail })
	}
	await next()
})

const route = createRoute({
	method: 'post',
	path: callbackPath('checkpoint'),
	hide: true,
	middleware: [withWork, announced] as const,
	request: { body: { required: true, content: { 'application/octet-stream': { schema: z.unknown() } } } },
	responses: { 200: json(Done, 'It is kept') }
})

export const checkpoint = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		const account = env.ACCOUNT.getByName(work.account)
		// Before, so that a late node stores nothing; after, so that what the Account remembers is there.
		unwrap(await account.confirm(work))
		await env.BUCKET.put(checkpointKey(work), c.req.raw.body)
		const kept = await account.checkpointed(work)
		if ('fault' in kept && kept.fault.code === 'ended') {
			// While the bytes were on their way: what the end has removed is there again.
			await env.BUCKET.delete(checkpointKey(work))
		}
		unwrap(kept)
		return c.json({}, 200)
	})
