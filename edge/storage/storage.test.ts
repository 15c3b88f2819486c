import { describe, expect, it } from 'vitest'
import { env } from '../testing.ts'
import { signGet, signPut } from './storage.ts'

const now = Date.UTC(2026, 10, 23, 7, 0, 0, 700)
const call = { n: 0, size: 9, md5: 'CY9rzUYh03PK3k6DJie09g==', content_type: 'image/png' as const }

describe('signed URLs', () => {
	it('read one object for as long as was asked', async () => {
		const { url, expires_at } = await signGet(env, 'gen/1/0', 3_600, now)
		const { origin, pathname, searchParams } = new URL(url)
		expect(origin + pathname).toBe('http://storage.test/darkroom/gen/1/0')
		expect(Object.fromEntries(searchParams)).toEqual({
			'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
			'X-Amz-Credential': 'test/20261123/auto/s3/aws4_request',
			'X-Amz-Date': '20261123T070000Z',
			'X-Amz-Expires': '4500',
			'X-Amz-SignedHeaders': 'host',
			'X-Amz-Signature': expect.stringMatching(/^[0-9a-f]{64}$/)
		})
		expect(expires_at).toBe('2026-11-23T08:15:00.000Z')
	})

	it('stay the same for a while, so that a browser need not load again what it has', async () => {
		for (const [ttl, same] of [
			[60, 15],
			[3_600, 900],
			[604_400, 400]
		] as const) {
			const at = async (seconds: number) => signGet(env, 'gen/1/0', ttl, Date.UTC(2026, 10, 23, 7) + seconds * 1_000)
			const [first, last, next] = [await at(0), await at(same - 0.001), await at(same)]
			expect(last).toEqual(first)
			expect(next.url).not.toBe(first.url)
			expect(Date.parse(next.expires_at) - Date.parse(first.expires_at)).toBe(same * 1_000)
		}
	})

	it('live a week where that is asked for, which is as long as S3 lets them', async () => {
		const late = Date.UTC(2026, 10, 23, 7, 14, 59, 900)
		const { expires_at } = await signGet(env, 'gen/1/0', 604_800, late)
		expect(expires_at).toBe('2026-11-30T07:14:59.000Z')
	})

	it('write announced bytes, once', async () => {
		const { url, headers } = await signPut(env, 'gen/1/0', call, now)
		expect(headers).toEqual({
			'content-length': '9',
			'content-md5': call.md5,
			'content-type': 'image/png',
			'if-none-match': '*'
		})
		const { searchParams } = new URL(url)
		expect(searchParams.get('X-Amz-SignedHeaders')).toBe('content-length;content-md5;content-type;host;if-none-match')
		expect(searchParams.get('X-Amz-Expires')).toBe('300')
	})

	it('differ when anything that they promise differs', async () => {
		const urls = await Promise.all([
			signPut(env, 'gen/1/0', call, now),
			signPut(env, 'gen/1/1', call, now),
			signPut(env, 'gen/1/0', { ...call, size: 10 }, now),
			signPut(env, 'gen/1/0', { ...call, md5: 'XUFAKrxLKna5cZ2REBfFkg==' }, now),
			signGet(env, 'gen/1/0', 3_600, now)
		])
		const signatures = urls.map(({ url }) => new URL(url).searchParams.get('X-Amz-Signature'))
		expect(new Set(signatures).size).toBe(urls.length)
	})
})
