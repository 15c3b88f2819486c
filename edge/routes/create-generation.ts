import { createRoute, type OpenAPIHono, type z } from '@hono/zod-openapi'
import type { Context } from 'hono'
import { findModel, models } from '../../shared/catalog.ts'
import { Generation, GenerationRequest } from '../../shared/contract/generation.ts'
import { GenerationOrder, orderFor, takeApart } from '../../shared/contract/order.ts'
import { taskOf } from '../../shared/contract/request-for.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { limitBody } from '../body.ts'
import { ProblemError, unwrap } from '../errors.ts'
import { describe, parse } from '../issues.ts'
import { hold } from '../viewer/hold.ts'
import { applied, PreferHeader, waitOf } from './prefer.ts'
import { present } from './present.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'post',
	path: '/v1/generations',
	summary: 'Ask for pictures',
	middleware: [withKey, limitBody] as const,
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
			const order = await readOrder(c)
			const accepted = unwrap(await env.ACCOUNT.getByName(key.account).submit(key.hash, order))
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
	await readOrder(c)
	throw new Error('A body that is no GenerationOrder cannot satisfy a model')
}

/** The body by its model's own limits, so that everything wrong with it is told at once. */
async function readOrder(c: Context) {
	const body: unknown = await c.req.json()
	const fields = withoutNulls(body)
	const name = fields?.model
	const model = typeof name === 'string' ? findModel(name) : undefined
	if (fields && model) {
		return takeApart(parse(orderFor(model, { task: taskOf(model, fields) }), fields))
	}
	parse(GenerationOrder, body)
	const expected = models.map(({ id }) => id).join(', ')
	const error = { pointer: '/model', detail: 'There is no such model.', expected, received: describe(name) }
	throw new ProblemError({
		code: 'unknown-model',
		detail: `Expected one of ${expected}, got ${describe(name)}.`,
		errors: [error]
	})
}

/** The fields of a body; those that are null, and may be, are as good as absent. */
function withoutNulls(body: unknown): Record<string, unknown> | undefined {
	if (typeof body !== 'object' || body === null || Array.isArray(body)) {
		return undefined
	}
	const shape: Record<string, z.ZodType> = GenerationRequest.shape
	const means = ([name, value]: [string, unknown]) =>
		value !== null || !Object.hasOwn(shape, name) || !shape[name]!.safeParse(null).success
	return Object.fromEntries(Object.entries(body).filter(means))
}
