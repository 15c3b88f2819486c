import type { ImageCall } from '../../shared/contract/callbacks.ts'
import type { Receipt } from '../account/attempts.ts'
import type { Env } from '../env.ts'
import { ProblemError } from '../errors.ts'

/** Looks for an uploaded object in R2; a picture counts only when the edge itself has seen it as reported. */
export async function seeObject(env: Env, key: string, reported: ImageCall): Promise<Receipt> {
	const object = await env.BUCKET.head(key)
	// For an object put in one part, R2's ETag is the MD5 in hexadecimal.
	const expected = { size: reported.size, etag: Buffer.from(reported.md5, 'base64').toString('hex') }
	if (object?.size !== expected.size || object.etag !== expected.etag) {
		const got = object ? `${object.size} bytes with MD5 ${object.etag}` : 'no object'
		const detail = `${key}: expected ${expected.size} bytes with MD5 ${expected.etag}, got ${got}.`
		throw new ProblemError({ code: 'not-seen', detail })
	}
	return { key, ...expected }
}

/** How the objects of `receipts` differ from what was seen when they were charged. */
export async function missingObjects(env: Env, receipts: readonly Receipt[]): Promise<string[]> {
	const differences: string[] = []
	for (const { key, size, etag } of receipts) {
		const object = await env.BUCKET.head(key)
		if (object?.size !== size || object.etag !== etag) {
			differences.push(
				`receipt ${key}: ${size} bytes with MD5 ${etag}, got ${object ? `${object.size} with ${object.etag}` : 'no object'}`
			)
		}
	}
	return differences
}
