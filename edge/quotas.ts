/** How one limit stands after a request. */
export interface Quota {
	name: string
	/** Requests in a window of `window` seconds. */
	quota: number
	window: number
	remaining: number
	/** Seconds until `remaining` is `quota` again; or, of a refused request, until one is possible. */
	reset: number
}

/** RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10). */
export function quotaHeaders(quotas: readonly Quota[]): Record<string, string> {
	if (quotas.length === 0) {
		return {}
	}
	return {
		'ratelimit-policy': quotas.map(({ name, quota, window }) => `"${name}";q=${quota};w=${window}`).join(', '),
		ratelimit: quotas.map(({ name, remaining, reset }) => `"${name}";r=${remaining};t=${reset}`).join(', ')
	}
}
