import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Balance } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { unwrap } from '../errors.ts'
import { AccountId, GenerationId } from '../ids.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'post',
	path: '/v1/admin/accounts/{account}/generations/{id}/refund',
	summary: 'Give back what was charged for a generation',
	middleware: [withAdmin] as const,
	request: { params: z.object({ account: AccountId, id: GenerationId }) },
	responses: {
		200: json(Balance, 'The balance, with the refund'),
		401: problem('unauthorized'),
		404: problem('not-found: also when nothing is charged for it, or not any more'),
		409: problem('not-ended')
	}
})

export const refundGeneration = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { account, id } = c.req.valid('param')
		return c.json(unwrap(await c.var.env.ACCOUNT.getByName(account).refund(id)), 200)
	})
