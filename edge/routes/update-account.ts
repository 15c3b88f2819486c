import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { AccountView, StandingChange } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { AccountId } from '../ids.ts'
import { enroll } from '../storage/roll.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'put',
	path: '/v1/admin/accounts/{account}',
	summary: 'Set the plan of an account and the limits that are its own; make it when it is new',
	description:
		'What is left out stays as it is. A new account has the plan `standard`. One that keeps pictures for longer does so with those that there are, ' +
		'too; one that keeps them for less, with those of generations that end from then on.',
	middleware: [withAdmin, limitBody] as const,
	request: {
		params: z.object({ account: AccountId }),
		body: { required: true, content: { 'application/json': { schema: StandingChange } } }
	},
	responses: { 200: json(AccountView, 'The account'), 401: problem('unauthorized') }
})

export const updateAccount = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { account } = c.req.valid('param')
		await enroll(c.var.env, account)
		const stub = c.var.env.ACCOUNT.getByName(account)
		unwrap(await stub.update({ account, key: null }, c.req.valid('json')))
		return c.json(unwrap(await stub.describe({ account, key: null })), 200)
	})
