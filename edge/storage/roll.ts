import type { Env } from '../env.ts'

/** An empty object for each account: Durable Objects cannot be listed, and R2 lists names in their order. */
const prefix = 'accounts/'

/** Notes that there is an account, before it is made: one may be missing of which a name is noted, but none is without. */
export async function enroll({ BUCKET }: Env, account: string): Promise<void> {
	// R2 takes one write a second under a name.
	if (!(await BUCKET.head(prefix + account))) {
		await BUCKET.put(prefix + account, '')
	}
}

/** By name; those after the account `after`, where it is named. */
export async function enrolled({ BUCKET }: Env, after: string | undefined, limit: number): Promise<string[]> {
	const { objects } = await BUCKET.list({ prefix, limit, ...(after && { startAfter: prefix + after }) })
	return objects.map(({ key }) => key.slice(prefix.length))
}
