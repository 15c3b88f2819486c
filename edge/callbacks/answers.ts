import { z } from '@hono/zod-openapi'
import { problem } from '../routes/responses.ts'

/** Nothing to say but "go on". */
export const Done = z.strictObject({})

/** What every callback may be answered with instead. */
export const refusals = {
	401: problem('unauthorized: the token is for another generation or epoch'),
	409: problem('superseded or ended: drop the work'),
	422: problem('invalid-request')
}
