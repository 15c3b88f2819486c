import { AwsV4Signer } from 'aws4fetch'
import type { UploadAnswer, UploadCall } from '../../shared/contract/callbacks.ts'
import type { Env } from '../env.ts'
import { ProblemError } from '../errors.ts'

/** Seconds. */
export const writable = 300

/** SigV4 derives a key a day; kept for the life of the isolate. */
const signingKeys = new Map<string, ArrayBuffer>()

/** Seconds: S3 takes no more. */
const longest = 604_800
/** Seconds for which a URL that reads stays the same, but no more than a quarter of its life, or than S3 lets it live longer. */
const steady = 900

/**
 * A URL that reads one object without a key, for `ttl` seconds and a little more: whoever asks again soon is given the same one, of which a browser
 * has the bytes.
 */
export async function signGet(
	env: Env,
	key: string,
	ttl: number,
	now = Date.now()
): Promise<{ url: string; expires_at: string }> {
	const same = Math.max(1, Math.min(Math.floor(ttl / 4), steady, longest - ttl))
	const from = now - (now % (same * 1_000))
	const expires = Math.min(ttl + same, longest)
	return { url: await sign(env, 'GET', key, {}, expires, from), expires_at: new Date(from + expires * 1_000).toISOString() }
}

/** The key of the object that a URL of `signGet` reads. */
export function keyOf(env: Env, url: string): string {
	const base = `${env.S3_ENDPOINT}/${env.S3_BUCKET}/`
	return url.startsWith(base) ? url.slice(base.length).split('?')[0]! : ''
}

/** What a URL of `signGet` reads, from the bucket itself. Throws `not-found`. */
export async function findPicture(env: Env, url: string): Promise<R2ObjectBody> {
	const key = keyOf(env, url)
	return (await env.BUCKET.get(key)) ?? gone(key)
}

/** Throws `not-found` where there is nothing for `findPicture` to find. */
export async function expectPicture(env: Env, url: string): Promise<void> {
	const key = keyOf(env, url)
	;(await env.BUCKET.head(key)) ?? gone(key)
}

function gone(key: string): never {
	throw new ProblemError({ code: 'not-found', detail: `Picture ${key} was delivered and is no longer in storage.` })
}

/** What a browser is told of a picture: that it shows it, and the name of the file where someone keeps it. */
export function dispositionOf(key: string, content_type: string): string {
	const [generation, , n] = key.split('/')
	return `inline; filename="${generation}-${n}.${content_type.replace('image/', '')}"`
}

/** An object as it is in storage, where it never changes, and nothing that a browser would take for a page. */
export function respondObject({ body, size, httpMetadata }: R2ObjectBody, more: Record<string, string> = {}): Response {
	const type = httpMetadata?.contentType ?? 'application/octet-stream'
	return new Response(body, {
		headers: {
			...more,
			'content-type': type,
			'content-length': String(size),
			'cache-control': 'private, max-age=86400, immutable',
			// Also where no origin is named: a script would be refused what the browser keeps of an <img> (Fetch, “CORS protocol and HTTP caches”).
			'access-control-allow-origin': '*',
			'x-content-type-options': 'nosniff'
		}
	})
}

/** What is known of the bytes before they come. `disposition` is kept beside them, and told with every URL of `signGet`. */
type Announced = Readonly<Pick<UploadCall, 'size' | 'md5'> & { content_type: string; disposition?: string }>

/** A URL that writes exactly these bytes, once: every header is signed, and storage refuses a second object of the name. */
export async function signPut(env: Env, key: string, call: Announced, now = Date.now()): Promise<UploadAnswer> {
	const headers = {
		...(call.disposition && { 'content-disposition': call.disposition }),
		'content-length': String(call.size),
		'content-md5': call.md5,
		'content-type': call.content_type,
		'if-none-match': '*'
	}
	return { url: await sign(env, 'PUT', key, headers, writable, now), headers }
}

async function sign(env: Env, method: string, key: string, headers: Record<string, string>, expires: number, now: number) {
	const signer = new AwsV4Signer({
		method,
		url: `${env.S3_ENDPOINT}/${env.S3_BUCKET}/${key}?X-Amz-Expires=${expires}`,
		headers,
		accessKeyId: env.S3_ACCESS_KEY_ID,
		secretAccessKey: env.S3_SECRET_ACCESS_KEY,
		service: 's3',
		region: 'auto',
		datetime: new Date(secondOf(now)).toISOString().replace(/[:-]|\.\d{3}/g, ''),
		cache: signingKeys,
		signQuery: true,
		// aws4fetch leaves content-type and content-length unsigned otherwise.
		allHeaders: true
	})
	return (await signer.sign()).url.toString()
}

/** Signatures count in whole seconds. */
const secondOf = (ms: number) => ms - (ms % 1_000)
