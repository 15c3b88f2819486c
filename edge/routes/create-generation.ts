import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { Generation } from '../../shared/contract/generation.ts'
import { GenerationOrder } from '../../shared/contract/order.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { limitInputs } from '../body.ts'
import { unwrap } from '../errors.ts'
import { narrow, resolveOrder } from '../inputs/resolve.ts'
import { hold } from '../viewer/hold.ts'
import { applied, PreferHeader, waitOf } from './prefer.ts'
import { present } from './present.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'post',
	path: '/v1/generations',
	summary: 'Ask for pictures',
	middleware: [withKey, limitInputs] as const,
	request: {
		headers: PreferHeader,
		body: { required: true, content: { 'application/json': { schema: GenerationOrder } } }
	},
	responses: {
		200: json(Generation, 'It ended while the request was held'),
		202: json(Generation, 'It was accepted, and will be developed'),
		400: problem('malformed-json'),
		401: problem('unauthorized'),
		413: problem('payload-too-large'),
		415: problem('unsupported-media-type'),
		422: problem('invalid-request, unknown-model')
	}
})

export const createGeneration = (app: OpenAPIHono<App>) =>
	app.openapi(
		route,
		async (c) => {
			const { env, key } = c.var
			const { order, warnings } = await resolveOrder(env, key, await c.req.json())
			const accepted = unwrap(await env.ACCOUNT.getByName(key.account).submit(key.hash, order, warnings))
			c.header('location', `/v1/generations/${accepted.id}`)
			const wait = waitOf(c.req.valid('header').prefer)
			if (wait === undefined) {
				return c.json(await present(env, accepted), 202)
			}
			const latest = await hold(env, key, accepted, wait)
			return c.json(await present(env, latest), latest.completed_at ? 200 : 202, applied(wait))
		},
		(result, c) => (result.success ? undefined : refuse(c))
	)

/** The contract did not hold: tell what else is wrong by the limits of the model. */
async function refuse(c: Context): Promise<never> {
	narrow(await c.req.json())
	throw new Error('A body that is no GenerationOrder cannot satisfy a model')
}
