import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Generation } from '../../shared/contract/generation.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { standingOf } from '../dispatcher/standing.ts'
import { unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { promptly } from '../promptly.ts'
import { hold, noteAnswered } from '../viewer/hold.ts'
import { applied, preferHeader, waitOf } from './prefer.ts'
import { present } from './present.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'get',
	path: '/v1/generations/{id}',
	summary: 'How a generation stands, with fresh picture URLs',
	middleware: [withKey] as const,
	parameters: [preferHeader],
	request: { params: z.object({ id: GenerationId }) },
	responses: {
		200: json(Generation, 'The generation'),
		401: problem('unauthorized'),
		404: problem('not-found: also when it belongs to another account'),
		503: problem('unavailable')
	}
})

export const getGeneration = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, key } = c.var
		const { id } = c.req.valid('param')
		const snapshot = unwrap(await promptly(env.ACCOUNT.getByName(key.account).read(key.hash, id)))
		const wait = waitOf(c.req.header('prefer'))
		const latest = wait === undefined ? snapshot : await hold(env, key, snapshot, wait)
		if (latest.completed_at && !snapshot.completed_at) {
			await noteAnswered(env, key, id)
		}
		const queue = latest.status === 'queued' ? await standingOf(env, key.account, id) : undefined
		return c.json({ ...(await present(env, latest)), ...(queue && { queue }) }, 200, wait === undefined ? {} : applied(wait))
	})
