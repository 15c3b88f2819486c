/** How one limit stands after an order. */
export interface Quota {
	name: string
	/** What is counted, where it is not orders. */
	unit?: 'pictures' | 'micro-units' | undefined
	/** What is allowed in a window of `window` seconds, or at any one time. */
	quota: number
	window?: number | undefined
	remaining: number
	/** Seconds until `remaining` is `quota` again; or, of what was refused, until it is possible. */
	reset?: number | undefined
}

/** RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10). Its registry of quota units (`qu`) knows none for what is sold. */
export function quotaHeaders(quotas: readonly Quota[]): Record<string, string> {
	if (quotas.length === 0) {
		return {}
	}
	const policies = quotas.map(({ name, unit, quota, window }) => item(name, { q: quota, qu: unit && `"${unit}"`, w: window }))
	const limits = quotas.map(({ name, remaining, reset }) => item(name, { r: remaining, t: reset }))
	return { 'ratelimit-policy': policies.join(', '), ratelimit: limits.join(', ') }
}

const item = (name: string, parameters: Record<string, number | string | undefined>) =>
	`"${name}"${Object.entries(parameters)
		.filter(([, value]) => value !== undefined)
		.map(([key, value]) => `;${key}=${value}`)
		.join('')}`
