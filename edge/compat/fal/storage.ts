import type { Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { z } from 'zod'
import { newId } from '../../../shared/ids.ts'
import { InputType } from '../../../shared/inputs.ts'
import type { App } from '../../app.ts'
import { holdBody, readJson } from '../../body.ts'
import type { Env } from '../../env.ts'
import { ProblemError, unwrap } from '../../errors.ts'
import { hmac, sameText } from '../../hmac.ts'
import { look } from '../../inputs/look.ts'
import { findInput, inputKey } from '../../inputs/store.ts'
import { parse } from '../../issues.ts'
import type { Key } from '../../keys.ts'
import { respondObject, writable } from '../../storage/storage.ts'

const Announced = z.looseObject({
	content_type: z.string({ error: `one of ${InputType.options.join(', ')}` })
})

/** What may be done to one file, `until` a time in seconds where there is an end to it. */
const tokenOf = (env: Env, what: 'read' | 'write', account: string, id: string, until = '') =>
	hmac(env.DARKROOM_SECRET, 'file', what, account, id, until)

/** Where to PUT a file, and where it is then. Their client sends no key to either (fal-js src/storage.ts). */
export async function initiateUpload(c: Context<App>, key: Key): Promise<Response> {
	const { env } = c.var
	parse(Announced, await readJson(c))
	unwrap(await env.ACCOUNT.getByName(key.account).expectInput(key.hash))
	const id = newId('upl')
	const until = String(Math.floor(Date.now() / 1_000) + writable)
	const url = (token: string, more = {}) =>
		`${env.PUBLIC_ORIGIN}/fal/files/${key.account}/${id}?${new URLSearchParams({ token, ...more })}`
	return c.json({
		file_url: url(tokenOf(env, 'read', key.account, id)),
		upload_url: url(tokenOf(env, 'write', key.account, id, until), { until })
	})
}

/** Lets those on alone who were told where to PUT a file, before anything of it is read. */
export const withPlace = createMiddleware<App>(async function withPlace(c, next) {
	const [account = '', id = ''] = [c.req.param('account'), c.req.param('id')]
	const { until = '', token = '' } = c.req.query()
	if (!sameText(token, tokenOf(c.var.env, 'write', account, id, until)) || Number(until) * 1_000 < Date.now()) {
		throw noFile()
	}
	c.set('account', account)
	await next()
})

/** Takes a file, once: whoever sends it again changes nothing. */
export async function takeFile(c: Context<App>, account: string, id: string): Promise<Response> {
	const { env } = c.var
	const { bytes } = await holdBody(c)
	const { type } = look(bytes, '')
	await env.BUCKET.put(inputKey(account, id), bytes, { httpMetadata: { contentType: type }, onlyIf: { etagDoesNotMatch: '*' } })
	return c.json({})
}

/** The file at its URL, which anyone may read who was told of it, as at fal. */
export async function readFile(c: Context<App>, account: string, id: string): Promise<Response> {
	const { env } = c.var
	const isTold = sameText(c.req.query('token') ?? '', tokenOf(env, 'read', account, id))
	const object = isTold ? await findInput(env, account, id) : undefined
	if (!object) {
		throw noFile()
	}
	return respondObject(object)
}

/** The upload that a file's URL stands for. */
export const uploadIn = (value: unknown): unknown =>
	(typeof value === 'string' && /^https?:\/\/[^/]+\/fal\/files\/[^/]+\/(upl_[0-9a-z]{26})\?/.exec(value)?.[1]) || value

const noFile = () => new ProblemError({ code: 'not-found', detail: 'There is no such file, or its URL has expired.' })
