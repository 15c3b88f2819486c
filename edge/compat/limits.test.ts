import { expect, it } from 'vitest'
import { limitOf } from './limits.ts'

it.each([
	[
		'the tightest of several',
		{ 'ratelimit-policy': '"account";q=600;w=60, "key";q=3;w=60', ratelimit: '"account";r=599;t=1, "key";r=2;t=20' },
		{ limit: 3, remaining: 2, reset: 20 }
	],
	[
		'at once, where nothing says when',
		{ 'ratelimit-policy': '"key";q=3', ratelimit: '"key";r=3' },
		{ limit: 3, remaining: 3, reset: 0 }
	],
	[
		'none without a policy of the same name',
		{ 'ratelimit-policy': '"account";q=600;w=60', ratelimit: '"key";r=2;t=20' },
		undefined
	],
	['none in other words', { 'ratelimit-policy': 'a lot', ratelimit: 'r=2' }, undefined],
	['none where nothing is said', {}, undefined]
])('tells of %s', (_, headers, limit) => {
	expect(limitOf(new Headers(headers as Record<string, string>))).toEqual(limit)
})
