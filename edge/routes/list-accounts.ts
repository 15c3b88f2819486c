import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { AccountView } from '../../shared/contract/account.ts'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { AccountId } from '../ids.ts'
import { enrolled } from '../storage/roll.ts'
import { limitOf, nextOfAll } from './paging.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'get',
	path: '/v1/admin/accounts',
	summary: 'All accounts with their balances, by name',
	middleware: [withAdmin] as const,
	request: { query: z.strictObject({ limit: limitOf(50, 100), cursor: AccountId.optional() }) },
	responses: {
		200: json(
			z.strictObject({ accounts: z.array(AccountView), unavailable: z.array(AccountId), next: AccountId.nullable() }),
			`\`unavailable\` lists accounts that gave no answer, for which the log has the reason; ${nextOfAll}`
		),
		401: problem('unauthorized')
	}
})

export const listAccounts = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env } = c.var
		const { limit, cursor } = c.req.valid('query')
		const names = await enrolled(env, cursor, limit + 1)
		const page = names.slice(0, limit)
		const unavailable: string[] = []
		const ask = async (account: string) => {
			try {
				const answer = await env.ACCOUNT.getByName(account).describe({ account, key: null })
				// A name may have been noted of an account whose making failed.
				return 'value' in answer ? [answer.value] : []
			} catch (error) {
				console.error(JSON.stringify({ account, error: String(error) }))
				unavailable.push(account)
				return []
			}
		}
		const accounts = (await Promise.all(page.map(ask))).flat()
		return c.json({ accounts, unavailable, next: names.length > limit ? (page.at(-1) ?? null) : null }, 200)
	})
