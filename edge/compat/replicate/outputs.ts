import type { Context } from 'hono'
import type { Picture } from '../../../shared/contract/generation.ts'
import type { App } from '../../app.ts'
import type { Env } from '../../env.ts'
import { ProblemError } from '../../errors.ts'
import { hmac, sameText } from '../../hmac.ts'
import { keyOf } from '../../storage/storage.ts'
import { base } from './prediction.ts'

const tokenOf = (env: Env, key: string, expires: string) => hmac(env.DARKROOM_SECRET, 'output', key, expires)

/**
 * Where a picture is for Replicate's clients. Not in storage itself: replicate-python sends its key to outputs too, and S3 refuses whoever shows
 * both a key and a signature.
 */
export function outputUrl(env: Env, { url, expires_at }: Picture): string {
	const key = keyOf(env, url)
	const expires = String(Math.floor(Date.parse(expires_at) / 1_000))
	return `${env.PUBLIC_ORIGIN}${base}/outputs/${key}?${new URLSearchParams({ expires, token: tokenOf(env, key, expires) })}`
}

/** The picture at such a URL. */
export async function readOutput(c: Context<App>, key: string): Promise<Response> {
	const { env } = c.var
	const { expires = '', token = '' } = c.req.query()
	const isGood = sameText(token, tokenOf(env, key, expires)) && Number(expires) * 1_000 > Date.now()
	const object = isGood ? await env.BUCKET.get(key) : null
	if (!object) {
		throw new ProblemError({ code: 'not-found', detail: 'There is no such output, or its URL has expired.' })
	}
	const type = object.httpMetadata?.contentType ?? 'application/octet-stream'
	return new Response(object.body, { headers: { 'content-type': type, 'content-length': String(object.size) } })
}
