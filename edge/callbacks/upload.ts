import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { UploadAnswer, UploadCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { json } from '../routes/responses.ts'
import { signPut } from '../storage/storage.ts'
import { refusals } from './answers.ts'
import { callbackPath, objectKey, withWork } from './capability.ts'

const route = createRoute({
	method: 'post',
	path: callbackPath('upload'),
	hide: true,
	middleware: [withWork, limitBody] as const,
	request: { body: { required: true, content: { 'application/json': { schema: UploadCall } } } },
	responses: { 200: json(UploadAnswer, 'Where to put the bytes, once'), ...refusals }
})

export const upload = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		const call = c.req.valid('json')
		unwrap(await env.ACCOUNT.getByName(work.account).permit(work, call.n))
		return c.json(await signPut(env, objectKey(work, call.n), call), 200)
	})
