import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { LedgerEntry } from '../../shared/contract/account.ts'
import type { Listed } from '../account/account.ts'
import type { Page } from '../account/page.ts'
import type { App } from '../app.ts'
import { doors, pathOf } from '../caller.ts'
import { type Answer, unwrap } from '../errors.ts'
import { ArchivedUntil, limitOf, nextOfAll } from './paging.ts'
import { json, problem } from './responses.ts'

const Cursor = z
	.string()
	.regex(/^[1-9]\d{0,14}$/)
	.transform(Number)

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'get',
		path: `${door.base}/ledger`,
		summary: `Every move of money ${door.whose}, newest first`,
		middleware: [door.enter] as const,
		request: { params: pathOf(door, {}), query: z.strictObject({ limit: limitOf(50, 500), cursor: Cursor.optional() }) },
		responses: {
			200: json(
				z.strictObject({ entries: z.array(LedgerEntry), next: z.int().nullable(), archived_until: ArchivedUntil }),
				nextOfAll
			),
			401: problem('unauthorized')
		}
	})

export const listLedger = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			const { limit, cursor } = c.req.valid('query')
			const account = env.ACCOUNT.getByName(caller.account)
			const listed = (await account.listLedger(caller, cursor, limit)) as Answer<Listed<Page<LedgerEntry, number>>>
			const { items: entries, next, archivedUntil } = unwrap(listed)
			return c.json({ entries, next, archived_until: archivedUntil }, 200)
		})
	}
}
