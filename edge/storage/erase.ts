import type { Env } from '../env.ts'

interface Stored {
	key: string
	/** Milliseconds. */
	at: number
}

/** Removes, of the objects whose keys begin with `prefix`, those that `choose` names, page by page. Answers how many are left. */
export async function eraseObjects(env: Env, prefix: string, choose: (page: Stored[]) => string[]): Promise<number> {
	let left = 0
	for (let cursor: string | undefined, more = true; more; ) {
		const page = await env.BUCKET.list({ prefix, ...(cursor && { cursor }) })
		const chosen = choose(page.objects.map(({ key, uploaded }) => ({ key, at: uploaded.getTime() })))
		if (chosen.length > 0) {
			await env.BUCKET.delete(chosen)
		}
		left += page.objects.length - chosen.length
		more = page.truncated
		cursor = page.truncated ? page.cursor : undefined
	}
	return left
}
