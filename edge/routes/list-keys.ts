import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ApiKey } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { doors, pathOf } from '../caller.ts'
import { type Answer, unwrap } from '../errors.ts'
import { json, problem } from './responses.ts'

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'get',
		path: `${door.base}/keys`,
		summary: `The API keys ${door.whose}, revoked ones too`,
		middleware: [door.enter] as const,
		request: { params: pathOf(door, {}) },
		responses: {
			200: json(z.strictObject({ keys: z.array(ApiKey) }), 'The keys, oldest first'),
			401: problem('unauthorized'),
			403: problem('forbidden'),
			404: problem('not-found: there is no such account')
		}
	})

export const listKeys = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			const keys = unwrap((await env.ACCOUNT.getByName(caller.account).listKeys(caller)) as Answer<ApiKey[]>)
			return c.json({ keys }, 200)
		})
	}
}
