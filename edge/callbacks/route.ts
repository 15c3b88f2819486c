import { createRoute, z } from '@hono/zod-openapi'
import { limitBody } from '../body.ts'
import { json, problem } from '../routes/responses.ts'
import { callbackPath, withWork } from './capability.ts'

/** Nothing to say but "go on". */
export const Done = z.strictObject({})

/** What every callback may be answered with instead. */
export const refusals = {
	401: problem('unauthorized: the token is for another generation or epoch'),
	409: problem('superseded or ended: drop the work'),
	422: problem('invalid-request')
}

/** What a node calls with JSON. `meaning`: of the answer. */
export const callback = <Call extends z.ZodType, Said extends z.ZodType>(name: string, call: Call, said: Said, meaning: string) =>
	createRoute({
		method: 'post',
		path: callbackPath(name),
		hide: true,
		middleware: [withWork, limitBody] as const,
		request: { body: { required: true, content: { 'application/json': { schema: call } } } },
		responses: { 200: json(said, meaning), ...refusals }
	})
