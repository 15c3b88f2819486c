import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import { Model, models } from '../../shared/catalog.ts'
import type { App } from '../app.ts'
import { json } from './responses.ts'

const route = createRoute({
	method: 'get',
	path: '/v1/models',
	summary: 'The models, with their limits',
	responses: { 200: json(z.strictObject({ models: z.array(Model) }), 'The catalog') }
})

export const listModels = (app: OpenAPIHono<App>) => app.openapi(route, (c) => c.json({ models: [...models] }, 200))
