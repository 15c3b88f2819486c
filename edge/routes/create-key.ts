import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ApiKey, KeyRequest } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { limitBody } from '../body.ts'
import { doors, pathOf } from '../caller.ts'
import { unwrap } from '../errors.ts'
import { sha256 } from '../hmac.ts'
import { mintKey } from '../keys.ts'
import { enroll } from '../storage/roll.ts'
import { json, problem } from './responses.ts'

/** `key` is its text, which is not shown again. */
export const MadeKey = ApiKey.extend({ account: z.string(), key: z.string() })

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'post',
		path: `${door.base}/keys`,
		summary: `Make an API key ${door.whose}`,
		middleware: [door.enter, limitBody] as const,
		request: { params: pathOf(door, {}), body: { required: true, content: { 'application/json': { schema: KeyRequest } } } },
		responses: {
			201: json(MadeKey, 'The key. Its text is not shown again'),
			401: problem('unauthorized'),
			409: problem('too-many-keys')
		}
	})

export const createKey = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			if (caller.key === null) {
				await enroll(env, caller.account)
			}
			const key = mintKey(env.DARKROOM_SECRET, caller.account)
			const made = unwrap(await env.ACCOUNT.getByName(caller.account).makeKey(caller, sha256(key), c.req.valid('json')))
			return c.json({ ...made, account: caller.account, key }, 201)
		})
	}
}
