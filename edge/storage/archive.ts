import { ArchivedGeneration } from '../../shared/contract/archive.ts'
import { sumUp } from '../account/archived.ts'
import type { ArchiveRow, Chunk } from '../account/archives.ts'
import type { Env } from '../env.ts'
import { sha256 } from '../hmac.ts'
import { eraseObjects } from './erase.ts'

/** What is seen of an archive in R2. */
export interface StoredArchive {
	/** Bytes. */
	size: number
	/** Hexadecimal. */
	sha256: string
}

/** What the name of an archive tells: its first generation, and its SHA-256. */
type ArchiveName = Pick<ArchiveRow, 'first' | 'sha256'>
/** A file where archives are, which may be none. */
export type ArchiveFile = ArchiveName & { key: string }

const folderOf = (account: string) => `archives/${account}/`

/** Under what no other object is: whoever writes it, and however late, writes the same bytes. */
export const archiveKey = (account: string, { first, sha256 }: ArchiveName): string =>
	`${folderOf(account)}${first}-${sha256}.ndjson.gz`

/** Writes an archive, and looks whether it is there. */
export async function storeArchive({ BUCKET }: Env, account: string, { first, text }: Chunk): Promise<StoredArchive> {
	const bytes = await piped(new Blob([text]), new CompressionStream('gzip'))
	const stored = { size: bytes.length, sha256: sha256(bytes) }
	const key = archiveKey(account, { first, ...stored })
	await BUCKET.put(key, bytes, { sha256: stored.sha256, httpMetadata: { contentType: 'application/gzip' } })
	const seen = await BUCKET.head(key)
	const sum = seen?.checksums.toJSON().sha256
	if (seen?.size !== stored.size || sum !== stored.sha256) {
		throw new Error(`${key}: expected ${stored.size} bytes, got ${seen ? `${seen.size} with SHA-256 ${sum}` : 'no object'}`)
	}
	return stored
}

/** Removes what is left of tries to write `archive`, which is remembered, that were given up and whose rows have changed since. */
export async function eraseOthers(env: Env, account: string, archive: ArchiveName): Promise<void> {
	const kept = archiveKey(account, archive)
	const keys = (page: { key: string }[]) => page.map(({ key }) => key)
	await eraseObjects(env, `${folderOf(account)}${archive.first}-`, (page) => keys(page).filter((key) => key !== kept))
}

/** The account's files in R2, remembered or not, by name; those after the file `after`, where it is named, up to `limit`. */
export async function listArchives({ BUCKET }: Env, account: string, after: string | undefined, limit: number) {
	const prefix = folderOf(account)
	const { objects, truncated } = await BUCKET.list({ prefix, limit, ...(after && { startAfter: prefix + after }) })
	const files = objects.map(({ key }): ArchiveFile => {
		const [, first = '', sha256 = ''] = /^(\w+)-(\w+)\.ndjson\.gz$/.exec(key.slice(prefix.length)) ?? []
		return { key, first, sha256 }
	})
	return { files, next: truncated ? objects.at(-1)?.key.slice(prefix.length) : undefined }
}

/** How an archive in R2 differs from what is remembered of it: none of its bytes may, and its lines make its sums. */
export async function archiveDifferences({ BUCKET }: Env, account: string, row: ArchiveRow): Promise<string[]> {
	const key = archiveKey(account, row)
	const differs = (what: string) => [`archive ${key}: ${what}`]
	const object = await BUCKET.get(key)
	if (!object) {
		return differs('no object')
	}
	const bytes = await object.bytes()
	if (bytes.length !== row.size || sha256(bytes) !== row.sha256) {
		return differs(`${row.size} bytes, got ${bytes.length} with SHA-256 ${sha256(bytes)}`)
	}
	try {
		const lines = await linesOf(new Blob([bytes]))
		const found = { first: lines[0]?.id, last: lines.at(-1)?.id, ...sumUp(lines) }
		return (Object.keys(found) as (keyof typeof found)[])
			.filter((name) => found[name] !== row[name])
			.flatMap((name) => differs(`its lines make ${found[name]} of ${name}, got ${row[name]}`))
	} catch (error) {
		return differs(String(error))
	}
}

/** Of an archive's file. Throws where it is none. */
export async function linesOf(file: Blob): Promise<ArchivedGeneration[]> {
	const text = new TextDecoder().decode(await piped(file, new DecompressionStream('gzip')))
	return text
		.trimEnd()
		.split('\n')
		.map((line) => ArchivedGeneration.parse(JSON.parse(line)))
}

async function piped(blob: Blob, through: CompressionStream | DecompressionStream): Promise<Uint8Array> {
	return new Uint8Array(await new Response(blob.stream().pipeThrough(through)).arrayBuffer())
}
