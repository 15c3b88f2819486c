import type { OpenAPIHono } from '@hono/zod-openapi'
import { ProgressAnswer, ProgressCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { unwrap } from '../errors.ts'
import { callback } from './route.ts'

const route = callback('progress', ProgressCall, ProgressAnswer, 'Go on')

export const progress = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		const { previews = [], partial_image: partial, ...call } = c.req.valid('json')
		const shown = [...previews, ...(partial ? [partial] : [])].map(({ n }) => n)
		const { viewed } = unwrap(await env.ACCOUNT.getByName(work.account).progress(work, call, shown))
		if (!viewed && !partial) {
			return c.json({ watched: false }, 200)
		}
		// A partial image is kept for whoever comes next. A Viewer may vanish; then nobody watches.
		const viewer = env.VIEWER.getByName(work.generation)
		const watched = await viewer.show(previews, partial).catch(() => false)
		return c.json({ watched }, 200)
	})
