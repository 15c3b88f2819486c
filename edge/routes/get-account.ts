import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { AccountView } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { doors, pathOf } from '../caller.ts'
import { unwrap } from '../errors.ts'
import { json, problem } from './responses.ts'

const paths = { '/v1': '/v1/account', '/v1/admin/accounts/{account}': '/v1/admin/accounts/{account}' } as const

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'get',
		path: paths[door.base],
		summary: `The balance ${door.whose}`,
		middleware: [door.enter] as const,
		request: { params: pathOf(door, {}) },
		responses: {
			200: json(AccountView, 'The account'),
			401: problem('unauthorized')
		}
	})

export const getAccount = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			return c.json(unwrap(await env.ACCOUNT.getByName(caller.account).describe(caller)), 200)
		})
	}
}
