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
	[
		'requests, and not of pictures or money',
		{
			'ratelimit-policy':
				'"account-in-flight";q=16;qu="pictures", "account";q=600;w=60, "account-spend-day";q=9;qu="micro-units";w=86400',
			ratelimit: '"account-in-flight";r=1, "account";r=599;t=1, "account-spend-day";r=0;t=60'
		},
		{ limit: 600, remaining: 599, reset: 1 }
	],
	['none in other words', { 'ratelimit-policy': 'a lot', ratelimit: 'r=2' }, undefined],
	['none where nothing is said', {}, undefined]
])('tells of %s', (_, headers, limit) => {
	expect(limitOf(new Headers(headers as Record<string, string>))).toEqual(limit)
})
