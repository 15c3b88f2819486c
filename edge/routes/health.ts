import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { App } from '../app.ts'
import { json } from './responses.ts'

const route = createRoute({
	method: 'get',
	path: '/health',
	summary: 'Whether the edge answers',
	responses: { 200: json(z.strictObject({ status: z.literal('ok') }), 'The edge answers') }
})

export const health = (app: OpenAPIHono<App>) => app.openapi(route, (c) => c.json({ status: 'ok' as const }, 200))
