const longestWait = 60

/** Documented alone: any text will do, and a schema for it would read all headers of every request. */
export const preferHeader = {
	name: 'prefer',
	in: 'header',
	description: '`wait=N` holds the answer until the generation has ended, for at most N seconds (1–60; more counts as 60).',
	schema: { type: 'string' },
	example: 'wait=30'
} as const

/**
 * The seconds that a client prefers to wait (RFC 7240): `wait=N`, and `wait` alone for as long as we allow. The first
 * `wait` counts. What it cannot mean is ignored, as section 2 asks.
 */
export function waitOf(prefer: string | undefined): number | undefined {
	for (const preference of prefer?.split(',') ?? []) {
		// Taken apart bit by bit: one pattern for all of it would take hours to find that thousands of spaces do not match.
		const [name = '', ...value] = preference.split(';', 1)[0]!.split('=')
		if (name.trim().toLowerCase() === 'wait') {
			return value.length === 0 ? longestWait : wholeSeconds(value.join('=').trim())
		}
	}
	return undefined
}

function wholeSeconds(text: string): number | undefined {
	const seconds = /^("?)([1-9]\d{0,8})\1$/.exec(text)?.[2]
	return seconds === undefined ? undefined : Math.min(Number(seconds), longestWait)
}

export const applied = (wait: number) => ({ 'preference-applied': `wait=${wait}` })
