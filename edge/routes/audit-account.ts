import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { ArchiveRow } from '../account/archives.ts'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { type Answer, unwrap } from '../errors.ts'
import { AccountId } from '../ids.ts'
import { archiveDifferences } from '../storage/archive.ts'
import { missingObjects } from '../storage/receipt.ts'
import { json, problem } from './responses.ts'

const archivesAtOnce = 1_000

const route = createRoute({
	method: 'post',
	path: '/v1/admin/accounts/{account}/audit',
	summary: 'Recount an account from its entries and archives, and look for these and every retained picture in storage',
	middleware: [withAdmin] as const,
	request: { params: z.object({ account: AccountId }) },
	responses: {
		200: json(
			z.strictObject({ differences: z.array(z.string()), objects: z.int() }),
			'What does not agree, nothing where all is well; and how many objects were looked for'
		),
		401: problem('unauthorized'),
		404: problem('not-found: there is no such account')
	}
})

export const auditAccount = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env } = c.var
		const { account: name } = c.req.valid('param')
		const account = env.ACCOUNT.getByName(name)
		const differences = unwrap(await account.audit())
		let objects = 0
		for (let cursor: string | undefined = ''; cursor !== undefined; ) {
			const page: { receipts: { key: string; size: number; etag: string }[]; next?: string } = unwrap(
				await account.receipts(cursor)
			)
			objects += page.receipts.length
			differences.push(...(await missingObjects(env, page.receipts)))
			cursor = page.next
		}
		for (let cursor: string | undefined = '~'; cursor !== undefined; ) {
			const page: ArchiveRow[] = unwrap(
				(await account.listArchives({ account: name, key: null }, cursor, archivesAtOnce)) as Answer<ArchiveRow[]>
			)
			for (const archive of page) {
				differences.push(...(await archiveDifferences(env, name, archive)))
			}
			objects += page.length
			cursor = page.at(-1)?.last
		}
		return c.json({ differences, objects }, 200)
	})
