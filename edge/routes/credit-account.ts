import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Balance } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { AccountId } from '../ids.ts'
import { enroll } from '../storage/roll.ts'
import { json, problem } from './responses.ts'

const mostAtOnce = 1_000_000_000_000

const Credit = z.strictObject({
	amount: z
		.int()
		.min(-mostAtOnce)
		.max(mostAtOnce)
		.refine((amount) => amount !== 0, 'an amount other than 0')
		.describe('Micro-units; below zero it takes back what is available.'),
	reference: z.string().trim().min(1).max(200).describe("Such as the payment's id. The same one, sent again, is booked once.")
})

const route = createRoute({
	method: 'post',
	path: '/v1/admin/accounts/{account}/credits',
	summary: 'Give an account credit, or take it back; make it when it is new',
	middleware: [withAdmin, limitBody] as const,
	request: {
		params: z.object({ account: AccountId }),
		body: { required: true, content: { 'application/json': { schema: Credit } } }
	},
	responses: {
		200: json(Balance, 'The balance, with the credit'),
		401: problem('unauthorized'),
		409: problem('reference-reused')
	}
})

export const creditAccount = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { account } = c.req.valid('param')
		const { amount, reference } = c.req.valid('json')
		await enroll(c.var.env, account)
		return c.json(unwrap(await c.var.env.ACCOUNT.getByName(account).credit(account, amount, reference)), 200)
	})
