import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { KeyId } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { doors, pathOf } from '../caller.ts'
import { unwrap } from '../errors.ts'
import { problem } from './responses.ts'

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'delete',
		path: `${door.base}/keys/{id}`,
		summary: `Revoke an API key ${door.whose}, at once and for ever`,
		middleware: [door.enter] as const,
		request: { params: pathOf(door, { id: KeyId }) },
		responses: {
			204: { description: 'The key is no longer valid; event streams that it opened end within seconds' },
			401: problem('unauthorized')
		}
	})

export const revokeKey = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			unwrap(await env.ACCOUNT.getByName(caller.account).revokeKey(caller, c.req.valid('param').id))
			return c.body(null, 204)
		})
	}
}
