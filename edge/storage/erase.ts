import type { Env } from '../env.ts'

interface Stored {
	key: string
	/** Milliseconds. */
	at: number
}

/** How many are on a page. */
const limit = 250

/**
 * Of the objects whose keys begin with `prefix`, a page of those that follow the key `after`: removes those that `choose` names. Answers
 * how many of them are left, and the last one's key where more follow.
 */
export async function erasePage(
	{ BUCKET }: Env,
	prefix: string,
	after: string | undefined,
	choose: (page: Stored[]) => string[]
): Promise<{ left: number; next: string | undefined }> {
	const { objects, truncated } = await BUCKET.list({ prefix, limit, ...(after && { startAfter: after }) })
	const chosen = choose(objects.map(({ key, uploaded }) => ({ key, at: uploaded.getTime() })))
	if (chosen.length > 0) {
		await BUCKET.delete(chosen)
	}
	return { left: objects.length - chosen.length, next: truncated ? objects.at(-1)?.key : undefined }
}

/** The same of all of them, page by page. */
export async function eraseObjects(env: Env, prefix: string, choose: (page: Stored[]) => string[]): Promise<void> {
	let next: string | undefined
	do {
		;({ next } = await erasePage(env, prefix, next, choose))
	} while (next)
}
