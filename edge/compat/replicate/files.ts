import type { Context } from 'hono'
import type { App } from '../../app.ts'
import { ProblemError, unwrap } from '../../errors.ts'
import { sha256 } from '../../hmac.ts'
import { inspect } from '../../inputs/inspect.ts'
import { refuse } from '../../inputs/refuse.ts'
import { readInput, storeInput } from '../../inputs/store.ts'
import type { Key } from '../../keys.ts'
import { base } from './prediction.ts'

const urlOf = (c: Context<App>, id: string) => `${c.var.env.PUBLIC_ORIGIN}${base}/files/${id}`

/** Files are uploads here: their id is in their URL, which stands for them in a prediction's input. */
export async function createFile(c: Context<App>, key: Key): Promise<Response> {
	const { content } = await c.req.parseBody()
	if (!(content instanceof File)) {
		return refuse('/content', 'a file', content === undefined ? 'nothing' : 'text')
	}
	const { env } = c.var
	unwrap(await env.ACCOUNT.getByName(key.account).authorize(key.hash))
	const bytes = new Uint8Array(await content.arrayBuffer())
	const type = inspect(bytes)?.type ?? refuse('/content', 'a PNG, JPEG, GIF, WebP or AVIF picture', `${bytes.length} other bytes`)
	return c.json(fileOf(c, await storeInput(env, key.account, bytes, type), bytes), 201)
}

export async function readFile(c: Context<App>, key: Key, id: string): Promise<Response> {
	const bytes = await readInput(c.var.env, key.account, id)
	if (!bytes) {
		throw new ProblemError({ code: 'not-found', detail: `This account has no file ${id}.` })
	}
	return c.json(fileOf(c, id, bytes))
}

function fileOf(c: Context<App>, id: string, bytes: Uint8Array) {
	const now = new Date().toISOString()
	return {
		id,
		content_type: inspect(bytes)?.type ?? 'application/octet-stream',
		size: bytes.length,
		checksums: { sha256: sha256(bytes) },
		metadata: {},
		created_at: now,
		expires_at: null,
		urls: { get: urlOf(c, id) }
	}
}

/** The upload that a file's URL stands for. */
export const uploadIn = (value: unknown): string | undefined =>
	typeof value === 'string' ? /^https?:\/\/[^/]+\/replicate\/v1\/files\/(upl_[0-9a-z]{26})$/.exec(value)?.[1] : undefined
