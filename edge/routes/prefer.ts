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
		const [, seconds] = /^\s*wait\s*(?:=\s*"?([^;"]*)"?\s*)?(?:;.*)?$/i.exec(preference) ?? []
		if (/^\s*wait\b/i.test(preference)) {
			return seconds === undefined ? longestWait : wholeSeconds(seconds)
		}
	}
	return undefined
}

function wholeSeconds(text: string): number | undefined {
	return /^[1-9]\d{0,8}\s*$/.test(text) ? Math.min(Number(text), longestWait) : undefined
}

export const applied = (wait: number) => ({ 'preference-applied': `wait=${wait}` })
