/** The tightest of the limits of requests that an answer tells of in RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers). */
export function limitOf(headers: Headers): { limit: number; remaining: number; reset: number } | undefined {
	const policies = itemsOf(headers.get('ratelimit-policy'))
	const limits = [...itemsOf(headers.get('ratelimit'))].flatMap(([name, { r, t = 0 }]) => {
		const limit = policies.get(name)?.q
		return r === undefined || limit === undefined ? [] : [{ limit, remaining: r, reset: t }]
	})
	return limits.sort((a, b) => a.remaining - b.remaining)[0]
}

/** `"name";key=1;key=2, …`: those parameters that are whole numbers, by name; without items that count something else than requests, and say so by `qu`. */
function itemsOf(header: string | null): Map<string, Record<string, number>> {
	const items = (header ?? '')
		.matchAll(/"([^"]*)"((?:;[a-z]+=[^;,]*)*)/g)
		.filter(([, , parameters]) => !parameters?.includes(';qu='))
	return new Map(
		items.map(([, name = '', parameters = '']) => [
			name,
			Object.fromEntries(parameters.matchAll(/;([a-z]+)=(\d+)/g).map(([, key, value]) => [key, Number(value)]))
		])
	)
}
