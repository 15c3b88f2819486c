import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { GenerationEvent } from '../../shared/contract/events.ts'
import { untilSilent } from '../../shared/until-silent.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { unwrap } from '../errors.ts'
import { GenerationId } from '../ids.ts'
import { promptly } from '../promptly.ts'
import { eventHeaders } from '../sse.ts'
import { problem } from './responses.ts'

const LastEventId = z
	.string()
	.optional()
	.openapi({ description: 'The `id` of the last event that was seen; those after it follow.' })

const route = createRoute({
	method: 'get',
	path: '/v1/generations/{id}/events',
	summary: 'Watch a generation develop',
	description:
		'Server-sent events until it has ended: its status, steps, previews, and each picture as soon as it is delivered. ' +
		'A client that comes back with `Last-Event-ID` goes on from there.',
	middleware: [withKey] as const,
	request: { params: z.object({ id: GenerationId }), headers: z.object({ 'last-event-id': LastEventId }) },
	responses: {
		200: { description: 'Events, each with `data` of this form', content: { 'text/event-stream': { schema: GenerationEvent } } },
		204: { description: 'The client has had the end already: nothing more will come, and an `EventSource` stops asking' },
		401: problem('unauthorized'),
		404: problem('not-found: also when it belongs to another account'),
		503: problem('unavailable')
	}
})

export const generationEvents = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, key } = c.var
		const { id } = c.req.valid('param')
		unwrap(await promptly(env.ACCOUNT.getByName(key.account).read(key.hash, id)))
		const lastId = c.req.valid('header')['last-event-id']
		const events = await promptly(env.VIEWER.getByName(id).follow(key.account, id, lastId, key.hash))
		return events ? new Response(untilSilent(events), { headers: eventHeaders }) : c.body(null, 204)
	})
