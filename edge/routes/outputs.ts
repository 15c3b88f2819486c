import type { OpenAPIHono } from '@hono/zod-openapi'
import type { Picture } from '../../shared/contract/generation.ts'
import type { App } from '../app.ts'
import type { Env } from '../env.ts'
import { ProblemError } from '../errors.ts'
import { hmac, sameText } from '../hmac.ts'
import { dispositionOf, keyOf, respondObject } from '../storage/storage.ts'

const tokenOf = (env: Env, key: string, expires: string) => hmac(env.DARKROOM_SECRET, 'output', key, expires)

/**
 * Where a picture is for who sends a key along (replicate-python, Open WebUI, the AI SDK, whoever follows a redirect and leaves no header behind). Not
 * in storage itself: S3 refuses whoever shows both a key and a signature. It ends as a file of its type does, for some (replicate-python's `use`) keep it
 * under that name.
 *
 * @param expires in milliseconds
 */
export function outputAt(env: Env, key: string, content_type: string, expires: number): string {
	const until = String(Math.floor(expires / 1_000))
	const query = new URLSearchParams({ expires: until, token: tokenOf(env, key, until) })
	return `${env.PUBLIC_ORIGIN}/outputs/${key}.${content_type.replace('image/', '')}?${query}`
}

/** The same for a picture as clients see it, until its own URL expires. */
export const outputUrl = (env: Env, { url, expires_at, content_type }: Picture): string =>
	outputAt(env, keyOf(env, url), content_type, Date.parse(expires_at))

/** The pictures at such URLs. */
export const outputs = (app: OpenAPIHono<App>) => {
	app.get('/outputs/:generation/:epoch/:file', async (c) => {
		const { env } = c.var
		const { generation, epoch, file } = c.req.param()
		const { expires = '', token = '' } = c.req.query()
		const key = `${generation}/${epoch}/${file.split('.')[0]}`
		const isGood = sameText(token, tokenOf(env, key, expires)) && Number(expires) * 1_000 > Date.now()
		const object = isGood ? await env.BUCKET.get(key) : null
		if (!object) {
			throw new ProblemError({ code: 'not-found', detail: 'There is no such output, or its URL has expired.' })
		}
		const type = object.httpMetadata?.contentType ?? ''
		return respondObject(object, { 'content-disposition': dispositionOf(key, type) })
	})
}
