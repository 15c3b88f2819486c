import { expect, it } from 'vitest'
import { QueueUrl } from './queue-url.ts'

const faultOf = (url: unknown) => QueueUrl.safeParse(url).error?.issues[0]?.message

it.each([
	'postgres://darkroom:p%40ss@db.example:5432/queue?sslmode=require',
	'postgresql://me:100%@127.0.0.1/queue of ours',
	'redis://127.0.0.1',
	'redis://localhost:6379/',
	'rediss://:p%40s%2Fs%23100%25@queue.example:6380/15'
])('takes %s', (url) => {
	expect(faultOf(url)).toBeUndefined()
})

it.each([
	[undefined, 'expected postgres://, redis:// or rediss://, got no URL'],
	['queue.example', 'expected postgres://, redis:// or rediss://, got no URL'],
	['https://queue.example', 'expected postgres://, redis:// or rediss://, got https://'],
	['redis://:hunter2%@queue.example', /^expected a URL .* % as %25/],
	['redis://:hunter#2@queue.example', /^expected a URL .* # as %23/],
	['postgres://me:hunter/2@queue.example/queue', /^expected a URL .* \/ as %2F/],
	['redis://queue.example/jobs', /^expected nothing after the host but/],
	['redis://me:12/hunter2@queue.example', /^expected nothing after the host but/],
	['rediss://queue.example/-1', /^expected nothing after the host but/]
])('says what is wrong with %s, and no password', (url, fault) => {
	expect(faultOf(url)).toMatch(fault)
	expect(faultOf(url)).not.toMatch('hunter')
})
