import type { OpenAPIHono } from '@hono/zod-openapi'
import { z } from 'zod'
import { UploadId } from '../../../shared/inputs.ts'
import { unusedFor } from '../../account/inputs.ts'
import type { App } from '../../app.ts'
import { limitInputs, readForm } from '../../body.ts'
import { findFile, listFiles, removeFile, type StoredFile, storeFile } from '../../inputs/files.ts'
import { Given } from '../../inputs/given.ts'
import { findInput } from '../../inputs/store.ts'
import { describe, parse } from '../../issues.ts'
import { givenIn } from '../../query.ts'
import { refuse } from '../../refuse.ts'
import { respondObject } from '../../storage/storage.ts'
import { clientKey, withClientKey } from '../native.ts'

/** Files are uploads here, and there is one purpose for them: `{ "file_id" }` is an image or a mask of an edit. */
const purpose = 'vision'

/** openai-openapi `listFiles`. Of more than a thousand, a page has so many. */
const ListRequest = z.object({
	purpose: z.string().optional(),
	limit: z.coerce.number().int().min(1).max(10_000).optional(),
	order: z.enum(['asc', 'desc']).default('desc'),
	after: UploadId.optional()
})

export const addFiles = (at: OpenAPIHono<App>) => {
	at.post('/files', withClientKey, limitInputs, async (c) => {
		const key = clientKey(c)
		const { file } = await readForm(c)
		return file instanceof Given
			? c.json(fileBody(await storeFile(c.var.env, key, file, '/file')))
			: refuse('/file', 'a file', describe(file))
	})
	at.get('/files', async (c) => {
		const key = clientKey(c)
		const { purpose: asked = purpose, ...page } = parse(ListRequest, givenIn(c))
		const { files, next } = await listFiles(c.var.env, key, page)
		const data = asked === purpose ? files.map(fileBody) : []
		return c.json({
			object: 'list',
			data,
			first_id: data[0]?.id ?? null,
			last_id: data.at(-1)?.id ?? null,
			has_more: data.length > 0 && next !== null
		})
	})
	at.get('/files/:id', async (c) => c.json(fileBody(await findFile(c.var.env, clientKey(c), c.req.param('id')))))
	at.get('/files/:id/content', async (c) => {
		const key = clientKey(c)
		const { id } = await findFile(c.var.env, key, c.req.param('id'))
		return respondObject((await findInput(c.var.env, key.account, id))!)
	})
	at.delete('/files/:id', async (c) => {
		const id = c.req.param('id')
		await removeFile(c.var.env, clientKey(c), id)
		return c.json({ id, object: 'file', deleted: true })
	})
}

const fileBody = ({ id, name, size, at }: StoredFile) => ({
	id,
	object: 'file',
	bytes: size,
	created_at: Math.floor(at.getTime() / 1_000),
	/** If no generation uses it by then. */
	expires_at: Math.floor((at.getTime() + unusedFor) / 1_000),
	filename: name,
	purpose,
	status: 'processed'
})
