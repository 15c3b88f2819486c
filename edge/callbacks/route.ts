import { createRoute, z } from '@hono/zod-openapi'
import { limitCall } from '../body.ts'
import { json } from '../routes/responses.ts'
import { callbackPath, withWork } from './capability.ts'

/** Nothing to say but "go on". */
export const Done = z.strictObject({})

/** What a node calls with JSON. `meaning`: of the answer. How it may be refused, shared/contract/callbacks.ts says. */
export const callback = <Call extends z.ZodType, Said extends z.ZodType>(name: string, call: Call, said: Said, meaning: string) =>
	createRoute({
		method: 'post',
		path: callbackPath(name),
		hide: true,
		middleware: [withWork, limitCall] as const,
		request: { body: { required: true, content: { 'application/json': { schema: call } } } },
		responses: { 200: json(said, meaning) }
	})
