import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Generation, Status } from '../../shared/contract/generation.ts'
import type { Listed } from '../account/account.ts'
import type { Page } from '../account/page.ts'
import type { Snapshot } from '../account/snapshot.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { type Answer, unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { describe } from '../issues.ts'
import { refuse } from '../refuse.ts'
import { ArchivedUntil, limitOf, nextOfSome } from './paging.ts'
import { present } from './present.ts'
import { json, problem } from './responses.ts'

const Time = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text))

const route = createRoute({
	method: 'get',
	path: '/v1/generations',
	summary: 'The generations of the account, newest first',
	middleware: [withKey] as const,
	request: {
		query: z.strictObject({
			limit: limitOf(20, 100),
			cursor: GenerationId.optional(),
			status: Status.optional(),
			model: z.string().max(64).optional(),
			created_after: Time.optional(),
			created_before: Time.optional()
		})
	},
	responses: {
		200: json(
			z.strictObject({ generations: z.array(Generation), next: GenerationId.nullable(), archived_until: ArchivedUntil }),
			nextOfSome
		),
		401: problem('unauthorized')
	}
})

export const listGenerations = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, key } = c.var
		const { limit, cursor, status, model, created_after: after, created_before: before } = c.req.valid('query')
		if (after !== undefined && before !== undefined && after > before) {
			refuse('/created_after', 'a time that is not after created_before', describe(c.req.query('created_after')))
		}
		const filter = { status, model, after, before }
		const listed = await env.ACCOUNT.getByName(key.account).list(key.hash, filter, cursor, limit)
		const { items, next, archivedUntil } = unwrap(listed as Answer<Listed<Page<Snapshot>>>)
		const generations = await Promise.all(items.map((snapshot) => present(env, snapshot)))
		return c.json({ generations, next, archived_until: archivedUntil }, 200)
	})
