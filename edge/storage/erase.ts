import type { Env } from '../env.ts'

/** Removes every object whose key begins with `prefix`. */
export async function eraseObjects(env: Env, prefix: string): Promise<void> {
	for (let isTruncated = true; isTruncated; ) {
		const { objects, truncated } = await env.BUCKET.list({ prefix })
		if (objects.length > 0) {
			await env.BUCKET.delete(objects.map(({ key }) => key))
		}
		isTruncated = truncated
	}
}
