import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Archive } from '../../shared/contract/archive.ts'
import type { ArchiveRow } from '../account/archives.ts'
import type { Page } from '../account/page.ts'
import type { App } from '../app.ts'
import { doors, pathOf } from '../caller.ts'
import { type Answer, unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { archiveKey } from '../storage/archive.ts'
import { signGet } from '../storage/storage.ts'
import { limitOf, nextOfAll } from './paging.ts'
import { json, problem } from './responses.ts'

/** Seconds that each URL lives. */
const readable = 3_600

const routeAt = (door: (typeof doors)[number]) =>
	createRoute({
		method: 'get',
		path: `${door.base}/archives`,
		summary: `The books of old generations ${door.whose}, as files; newest first`,
		description:
			'Generations that ended a month ago, and whose pictures are no longer kept, are no longer in the lists. What is kept of each is a line of JSON ' +
			'(`ArchivedGeneration`) in a file compressed by gzip: its entries in the ledger and what was delivered, and nothing of what was asked for.',
		middleware: [door.enter] as const,
		request: { params: pathOf(door, {}), query: z.strictObject({ limit: limitOf(50, 500), cursor: GenerationId.optional() }) },
		responses: {
			200: json(z.strictObject({ archives: z.array(Archive), next: GenerationId.nullable() }), nextOfAll),
			401: problem('unauthorized')
		}
	})

export const listArchives = (app: OpenAPIHono<App>) => {
	for (const door of doors) {
		app.openapi(routeAt(door), async (c) => {
			const { env, caller } = c.var
			const { limit, cursor } = c.req.valid('query')
			const account = env.ACCOUNT.getByName(caller.account)
			const { items, next } = unwrap((await account.listArchives(caller, cursor, limit)) as Answer<Page<ArchiveRow>>)
			const archives = await Promise.all(
				items.map(async ({ at, hold, capture, release, refund, ...row }) => ({
					...row,
					archived_at: new Date(at).toISOString(),
					amounts: { hold, capture, release, refund },
					...(await signGet(env, archiveKey(caller.account, row), readable))
				}))
			)
			return c.json({ archives, next }, 200)
		})
	}
}
