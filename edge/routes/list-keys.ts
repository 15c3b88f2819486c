import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { ApiKey, KeyId } from '../../shared/contract/account.ts'
import type { Page } from '../account/page.ts'
import type { App } from '../app.ts'
import { doors, pathOf } from '../caller.ts'
import { type Answer, unwrap } from '../errors.ts'
import { limitOf, nextOfAll } from './paging.ts'
import { json, problem } from './responses.ts'

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'get',
		path: `${door.base}/keys`,
		summary: `The API keys ${door.whose}, revoked ones too, newest first`,
		middleware: [door.enter] as const,
		request: { params: pathOf(door, {}), query: z.strictObject({ limit: limitOf(100, 500), cursor: KeyId.optional() }) },
		responses: {
			200: json(z.strictObject({ keys: z.array(ApiKey), next: KeyId.nullable() }), nextOfAll),
			401: problem('unauthorized')
		}
	})

export const listKeys = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			const { limit, cursor } = c.req.valid('query')
			const account = env.ACCOUNT.getByName(caller.account)
			const { items: keys, next } = unwrap((await account.listKeys(caller, cursor, limit)) as Answer<Page<ApiKey>>)
			return c.json({ keys, next }, 200)
		})
	}
}
