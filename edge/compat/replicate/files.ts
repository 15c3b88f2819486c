import type { Context } from 'hono'
import { z } from 'zod'
import { UploadId } from '../../../shared/inputs.ts'
import { unusedFor } from '../../account/inputs.ts'
import type { App } from '../../app.ts'
import { readForm } from '../../body.ts'
import { listFiles, type StoredFile, storeFile } from '../../inputs/files.ts'
import { Given } from '../../inputs/given.ts'
import { describe, parse } from '../../issues.ts'
import type { Key } from '../../keys.ts'
import { givenIn } from '../../query.ts'
import { refuse } from '../../refuse.ts'
import { base } from './prediction.ts'

/** Files are uploads here: their id is in their URL, which stands for them in a prediction's input. */
export async function createFile(c: Context<App>, key: Key): Promise<Response> {
	const { content, filename, ...said } = await readForm(c)
	if (!(content instanceof Given)) {
		return refuse('/content', 'a file', describe(content))
	}
	const name = typeof filename === 'string' && filename ? filename : undefined
	const file = await storeFile(c.var.env, key, content, '/content', { name, metadata: metadataIn(said) })
	return c.json(fileBody(c, file), 201)
}

/** JSON, as a file or as text; or one field for each thing that is said, `metadata[seen]`, as replicate-python has them from 2.0 on. */
function metadataIn({ metadata, ...fields }: Record<string, unknown>): string | undefined {
	if (metadata !== undefined) {
		return metadata instanceof Given ? Buffer.from(metadata.bytes).toString() : String(metadata)
	}
	const said = Object.entries(fields)
		.filter(([field]) => field.startsWith('metadata['))
		.map(([field, value]) => {
			const [, name] = /^metadata\[([^[\]]+)\]$/.exec(field) ?? []
			return name && typeof value === 'string' ? [name, value] : refuse('/metadata', 'texts, or all of it as JSON', field)
		})
	return said.length > 0 ? JSON.stringify(Object.fromEntries(said)) : undefined
}

export async function filePage(c: Context<App>, key: Key): Promise<Response> {
	const { cursor } = parse(z.object({ cursor: UploadId.optional() }), givenIn(c))
	const { files, next } = await listFiles(c.var.env, key, { after: cursor })
	const url = `${c.var.env.PUBLIC_ORIGIN}${base}/files`
	return c.json({
		previous: null,
		next: next && `${url}?${new URLSearchParams({ cursor: next })}`,
		results: files.map((file) => fileBody(c, file))
	})
}

export const fileBody = (c: Context<App>, { id, name, type, size, etag, sha256, metadata, at }: StoredFile) => ({
	id,
	name,
	content_type: type,
	size,
	etag,
	checksums: { ...(sha256 && { sha256 }) },
	metadata,
	created_at: at.toISOString(),
	/** If no generation uses it by then. */
	expires_at: new Date(at.getTime() + unusedFor).toISOString(),
	urls: { get: `${c.var.env.PUBLIC_ORIGIN}${base}/files/${id}` }
})

/** The upload that a file's URL stands for. */
export const uploadIn = (value: unknown): string | undefined =>
	typeof value === 'string' ? /^https?:\/\/[^/]+\/replicate\/v1\/files\/(upl_[0-9a-z]{26})$/.exec(value)?.[1] : undefined
