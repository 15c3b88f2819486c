import type { OpenAPIHono } from '@hono/zod-openapi'
import { StartAnswer, StartCall } from '../../shared/contract/callbacks.ts'
import { InputName } from '../../shared/inputs.ts'
import type { App } from '../app.ts'
import { unwrap } from '../errors.ts'
import { inputKey } from '../inputs/store.ts'
import { signGet } from '../storage/storage.ts'
import { checkpointKey } from './capability.ts'
import { callback } from './route.ts'

/** Seconds that a node has to fetch inputs and a checkpoint. */
const readable = 3_600

const route = callback('start', StartCall, StartAnswer, 'The epoch is granted')

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
