import { z } from 'zod'
import { newId, timeOf } from '../../shared/ids.ts'
import { UploadId } from '../../shared/inputs.ts'
import type { Env } from '../env.ts'
import { ProblemError, unwrap } from '../errors.ts'
import { sha256 } from '../hmac.ts'
import { describe } from '../issues.ts'
import type { Key } from '../keys.ts'
import { refuse } from '../refuse.ts'
import type { Given } from './given.ts'
import { look } from './look.ts'
import { inputKey } from './store.ts'

/** As many as R2 lists at once. */
const mostListed = 1_000
/** Milliseconds that are looked through first for the newest files. */
const recent = 60_000
/** Characters. R2 keeps 8 kB of an object's own metadata, in ASCII alone, so letters may have any three bytes each: nine characters. */
const longestName = 200
const mostMetadata = 6_000

/** An input of an account, as it is in storage. */
export interface StoredFile {
	id: string
	name: string
	type: string
	/** Bytes. */
	size: number
	etag: string
	/** In hexadecimal; of what came as a file alone. */
	sha256: string | undefined
	/** JSON that its owner gave with it. */
	metadata: Record<string, unknown>
	at: Date
}

const Metadata = z.record(z.string(), z.unknown())

/** What its owner says of a file: another name than it came with, and JSON. */
interface Said {
	name?: string | undefined
	metadata?: string | undefined
}

/** Keeps a picture that came as a file; its id is an input then. `pointer`: where the file was in the request. */
export async function storeFile(
	env: Env,
	key: Key,
	file: Given,
	pointer: string,
	{ name = file.name ?? '', metadata = '{}' }: Said = {}
): Promise<StoredFile> {
	unwrap(await env.ACCOUNT.getByName(key.account).expectInput(key.hash))
	if (!isMetadata(metadata)) {
		return refuse('/metadata', `a JSON object of at most ${mostMetadata} characters, percent-encoded`, describe(metadata))
	}
	const { bytes } = file
	const { type } = look(bytes, pointer)
	const id = newId('upl')
	const object = await env.BUCKET.put(inputKey(key.account, id), bytes, {
		sha256: sha256(bytes),
		httpMetadata: { contentType: type },
		// Cut off, a name may end with half a character.
		customMetadata: {
			name: encodeURIComponent(name.slice(0, longestName).toWellFormed()),
			metadata: encodeURIComponent(metadata)
		}
	})
	return fileOf(key.account, object)
}

export async function findFile(env: Env, { account, hash }: Key, id: string): Promise<StoredFile> {
	unwrap(await env.ACCOUNT.getByName(account).expectKey(hash, 'read', 'generate'))
	const object = UploadId.safeParse(id).success ? await env.BUCKET.head(inputKey(account, id)) : null
	if (!object) {
		throw new ProblemError({ code: 'not-found', detail: `This account has no file ${id}.` })
	}
	return fileOf(account, object)
}

/** Files by the time at which they came: at most `limit` of those that follow the file `after`, where there is one. */
interface Asked {
	after?: string | undefined
	limit?: number | undefined
	order?: 'asc' | 'desc'
}

/** `next`: the last one, where more follow. */
export async function listFiles(
	env: Env,
	{ account, hash }: Key,
	{ after, limit = 100, order = 'asc' }: Asked
): Promise<{ files: StoredFile[]; next: string | null }> {
	unwrap(await env.ACCOUNT.getByName(account).expectKey(hash, 'read', 'generate'))
	const prefix = inputKey(account, '')
	const start = after && prefix + after
	const most = Math.min(limit, mostListed)
	const { objects, isMore } = await (order === 'asc'
		? listOldest(env, prefix, start, most)
		: listNewest(env, prefix, start, most))
	const files = objects.map((object) => fileOf(account, object))
	return { files, next: isMore ? (files.at(-1)?.id ?? null) : null }
}

interface Listed {
	objects: R2Object[]
	isMore: boolean
}

/** Objects under `prefix` after the key `start`, where there is one, in the order in which R2 lists them. */
async function listOldest({ BUCKET }: Env, prefix: string, start: string | undefined, limit: number): Promise<Listed> {
	const page = await BUCKET.list({
		prefix,
		limit,
		include: ['httpMetadata', 'customMetadata'],
		...(start && { startAfter: start })
	})
	return { objects: page.objects, isMore: page.truncated }
}

/** The other way round: those before it. R2 lists forwards alone, so longer and longer times are looked through until there are enough. */
async function listNewest(env: Env, prefix: string, start: string | undefined, limit: number): Promise<Listed> {
	const at = start ? timeOf(start.slice(prefix.length)) : Date.now()
	let found: R2Object[] = []
	for (let [span, end]: [number, string | undefined] = [recent, start]; found.length <= limit && end !== prefix; span *= 32) {
		const begin = span < at ? prefix + newId('upl', at - span) : prefix
		let between: R2Object[] = []
		for (let [last, isMore]: [string | undefined, boolean] = [begin, true]; isMore; ) {
			const page = await listOldest(env, prefix, last, mostListed)
			between = [...between, ...page.objects.filter(({ key }) => !end || key < end)].slice(-limit - 1)
			last = page.objects.at(-1)?.key
			isMore = page.isMore && (!end || last! < end)
		}
		found = [...between, ...found].slice(-limit - 1)
		end = begin
	}
	return { objects: found.slice(-limit).reverse(), isMore: found.length > limit }
}

/** Throws where a generation is still to be made from it. */
export async function removeFile(env: Env, key: Key, id: string): Promise<void> {
	await findFile(env, key, id)
	unwrap(await env.ACCOUNT.getByName(key.account).giveUpInput(key.hash, id))
	await env.BUCKET.delete(inputKey(key.account, id))
}

function isMetadata(text: string): boolean {
	try {
		return encodeURIComponent(text).length <= mostMetadata && Metadata.safeParse(JSON.parse(text)).success
	} catch {
		return false
	}
}

function fileOf(account: string, { key, size, etag, uploaded, httpMetadata, customMetadata, checksums }: R2Object): StoredFile {
	const id = key.slice(inputKey(account, '').length)
	return {
		id,
		name: decodeURIComponent(customMetadata?.name ?? id),
		type: httpMetadata?.contentType ?? 'application/octet-stream',
		size,
		etag,
		sha256: checksums.sha256 && Buffer.from(checksums.sha256).toString('hex'),
		metadata: JSON.parse(decodeURIComponent(customMetadata?.metadata ?? '{}')),
		at: uploaded
	}
}
