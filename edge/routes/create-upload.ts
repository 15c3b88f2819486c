import { createRoute, type OpenAPIHono } from '@hono/zod-openapi'
import { Upload, UploadRequest } from '../../shared/contract/upload.ts'
import { newId } from '../../shared/ids.ts'
import type { App } from '../app.ts'
import { withKey } from '../bearer.ts'
import { limitBody } from '../body.ts'
import { unwrap } from '../errors.ts'
import { inputKey } from '../inputs/store.ts'
import { quotaHeaders } from '../quotas.ts'
import { signPut, writable } from '../storage/storage.ts'
import { json, problem } from './responses.ts'

const route = createRoute({
	method: 'post',
	path: '/v1/uploads',
	summary: 'Ask for a place for an image, a mask or a map',
	middleware: [withKey, limitBody] as const,
	request: { body: { required: true, content: { 'application/json': { schema: UploadRequest } } } },
	responses: {
		201: json(Upload, 'Where to PUT the bytes, once; the id is then an input'),
		401: problem('unauthorized'),
		429: problem('rate-limited')
	}
})

export const createUpload = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, key } = c.var
		const quotas = unwrap(await env.ACCOUNT.getByName(key.account).expectInput(key.hash))
		const now = Date.now()
		const id = newId('upl', now)
		const place = await signPut(env, inputKey(key.account, id), c.req.valid('json'), now)
		return c.json({ id, ...place, expires_at: new Date(now + writable * 1_000).toISOString() }, 201, quotaHeaders(quotas))
	})
