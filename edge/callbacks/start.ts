import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { StartAnswer, StartCall } from '../../shared/contract/callbacks.ts'
import { InputName } from '../../shared/inputs.ts'
import type { App } from '../app.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { inputKey } from '../inputs/store.ts'
import { json } from '../routes/responses.ts'
import { signGet } from '../storage/storage.ts'
import { refusals } from './answers.ts'
import { callbackPath, checkpointKey, withWork } from './capability.ts'

/** Seconds that a node has to fetch a checkpoint. */
const readable = 3_600

const route = createRoute({
	method: 'post',
	path: callbackPath('start'),
	hide: true,
	middleware: [withWork, limitBody] as const,
	request: { body: { required: true, content: { 'application/json': { schema: StartCall } } } },
	responses: { 200: json(StartAnswer, 'The epoch is granted'), ...refusals }
})

export const start = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		const { run } = c.req.valid('json')
		const { checkpointed, ...answer } = unwrap(await env.ACCOUNT.getByName(work.account).start(work, run))
		const { request } = answer
		const sign = async (key: string) => (await signGet(env, key, readable)).url
		const given = InputName.options.filter((name) => request[name] !== undefined)
		const inputs = given.map(async (name) => [name, await sign(inputKey(work.account, request[name]!))] as const)
		return c.json(
			{
				...answer,
				...(given.length > 0 && { inputs: Object.fromEntries(await Promise.all(inputs)) }),
				...(checkpointed !== null && { checkpoint: await sign(checkpointKey({ ...work, epoch: checkpointed })) })
			},
			200
		)
	})
