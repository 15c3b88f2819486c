import type { OpenAPIHono } from '@hono/zod-openapi'
import { UploadAnswer, UploadCall } from '../../shared/contract/callbacks.ts'
import type { App } from '../app.ts'
import { unwrap } from '../errors.ts'
import { dispositionOf, signPut } from '../storage/storage.ts'
import { objectKey } from './capability.ts'
import { callback } from './route.ts'

const route = callback('upload', UploadCall, UploadAnswer, 'Where to put the bytes, once')

export const upload = (app: OpenAPIHono<App>) =>
	app.openapi(route, async (c) => {
		const { env, work } = c.var
		const call = c.req.valid('json')
		unwrap(await env.ACCOUNT.getByName(work.account).permit(work, call.n))
		const key = objectKey(work, call.n)
		return c.json(await signPut(env, key, { ...call, disposition: dispositionOf(key, call.content_type) }), 200)
	})
