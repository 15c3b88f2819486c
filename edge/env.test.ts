import { expect, it } from 'vitest'
import { parseEnv } from './env.ts'
import { env } from './testing.ts'

const { QUEUE_URL, ...rest } = env

it('tells what is wrong with the configuration, but no secret', () => {
	const broken = {
		...env,
		DARKROOM_SECRET: 'too-short',
		ADMIN_TOKEN: 'no bearer has a "',
		BUCKET: undefined,
		S3_ENDPOINT: 'https://<account>.example.com'
	}
	let message = ''
	try {
		parseEnv(broken)
	} catch (error) {
		message = String(error)
	}
	expect(message).toMatch(/BUCKET: is not bound/)
	expect(message).toMatch(/DARKROOM_SECRET: .*32/)
	expect(message).toMatch(/ADMIN_TOKEN: letters/)
	expect(message).toMatch(/S3_ENDPOINT/)
	expect(message).not.toMatch(/too-short|no bearer/)
})

it('takes the queue from QUEUE_URL or from Hyperdrive', () => {
	expect(() => parseEnv({ ...rest })).toThrow(/QUEUE_URL: is missing/)
	expect(parseEnv({ ...rest, HYPERDRIVE: { connectionString: 'postgres://x' } }).QUEUE_URL).toBeUndefined()
	expect(parseEnv({ ...rest, QUEUE_URL }).QUEUE_URL).toBe(QUEUE_URL)
})

it('drops the slash at the end of origins', () => {
	expect(parseEnv({ ...env, PUBLIC_ORIGIN: 'https://edge.test/' }).PUBLIC_ORIGIN).toBe('https://edge.test')
})
