import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { ArchiveRow } from '../account/archives.ts'
import type { Receipt } from '../account/attempts.ts'
import { auditParts } from '../account/audit.ts'
import type { Page } from '../account/page.ts'
import type { App } from '../app.ts'
import { withAdmin } from '../bearer.ts'
import { type Answer, unwrap } from '../errors.ts'
import { AccountId } from '../ids.ts'
import { archiveDifferences, listArchives } from '../storage/archive.ts'
import { missingObjects } from '../storage/receipt.ts'
import { json, problem } from './responses.ts'

/** Of a page: each archive is read as a whole, and of files the names. */
const archivesAtOnce = 50
const filesAtOnce = 100

/** What comes after a picture's receipt, an archive that is remembered, or one that is in storage. */
const Cursor = z.string().regex(/^(pictures|archives|files)\/[\w/.-]{1,200}$/)

const route = createRoute({
	method: 'post',
	path: '/v1/admin/accounts/{account}/audit',
	summary: 'Recount an account from its entries and archives, and look for these and every retained picture in storage',
	description: 'Page by page, for one request may look for 10,000 objects at most: the first tells of the books, too.',
	middleware: [withAdmin] as const,
	request: { params: z.object({ account: AccountId }), query: z.strictObject({ cursor: Cursor.optional() }) },
	responses: {
		200: json(
			z.strictObject({ differences: z.array(z.string()), objects: z.int(), next: Cursor.nullable() }),
			'What does not agree (an empty list where all is well); how many objects were looked for; and the `cursor` of the following page, null on the last'
		),
		401: problem('unauthorized')
	}
})

export const auditAccount = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env } = c.var
		const { account: name } = c.req.valid('param')
		const { cursor = '' } = c.req.valid('query')
		const [, stage = 'pictures', after = ''] = /^(\w+)\/(.*)$/.exec(cursor) ?? []
		const account = env.ACCOUNT.getByName(name)
		const differences: string[] = []
		for (let part = 0; cursor === '' && part < auditParts; part++) {
			differences.push(...unwrap(await account.audit(part)))
		}
		let objects = 0
		const found = (next: string | null) => c.json({ differences, objects, next }, 200)
		if (stage === 'pictures') {
			const { items, next } = unwrap((await account.receipts(after)) as Answer<Page<Receipt>>)
			objects += items.length
			differences.push(...(await missingObjects(env, items)))
			if (next !== null) {
				return found(`pictures/${next}`)
			}
		}
		if (stage !== 'files') {
			const from = stage === 'archives' ? after : undefined
			const { items, next } = unwrap(
				(await account.listArchives({ account: name, key: null }, from, archivesAtOnce)) as Answer<Page<ArchiveRow>>
			)
			for (const archive of items) {
				differences.push(...(await archiveDifferences(env, name, archive)))
			}
			objects += items.length
			if (next !== null) {
				return found(`archives/${next}`)
			}
		}
		// Listed before the account is asked, which by then remembers what it is about to.
		const { files, next } = await listArchives(env, name, stage === 'files' ? after : undefined, filesAtOnce)
		for (const { key } of unwrap(await account.unexpectedArchives(files))) {
			differences.push(`archive ${key}: nothing refers to it, so that it may be removed`)
		}
		return found(next === undefined ? null : `files/${next}`)
	})
