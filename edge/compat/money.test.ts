import { describe, expect, it } from 'vitest'
import { env, post } from '../testing.ts'

const ways: Record<string, { path: string; body: object; refused: object }> = {
	OpenAI: {
		path: '/openai/v1/images/generations',
		body: { prompt: 'x', n: 2 },
		refused: { status: 429, again: 'false', told: { error: { type: 'insufficient_quota', code: 'insufficient_quota' } } }
	},
	Replicate: {
		path: '/replicate/v1/models/darkroom/scenes/predictions',
		body: { input: { prompt: 'x', num_outputs: 2 } },
		refused: { status: 402, told: { status: 402 } }
	},
	fal: { path: '/fal/queue/darkroom/scenes', body: { prompt: 'x', num_images: 2 }, refused: { status: 402 } }
}

/** What an order is answered by whose account has no more than `amount`, and whose key no more than these limits. */
async function order(way: string, amount: number, limits: object) {
	const account = `t-${crypto.randomUUID().slice(0, 8)}`
	const admin = (path: string, body: object) => post(`/v1/admin/accounts/${account}/${path}`, env.ADMIN_TOKEN, body)
	const { key } = await (await admin('keys', { limits })).json<{ key: string }>()
	await admin('credits', { amount, reference: 'a test' })
	const { path, body } = ways[way]!
	const answer = await post(path, key, body)
	return { status: answer.status, again: answer.headers.get('x-should-retry'), told: await answer.json() }
}

describe.each(Object.keys(ways))('%s', (way) => {
	it.each([
		['credit', 1, {}],
		['a limit of spending', 1e9, { spend_per_day: 10 }]
	])('is told of %s that it lacks money, which no client asks again for', async (_, amount, limits) => {
		expect(await order(way, amount, limits)).toMatchObject(ways[way]!.refused)
	})

	it('is told of pictures in flight that they pass', async () => {
		const { status, again } = await order(way, 1e9, { pictures_in_flight: 1 })
		expect([status, again]).toEqual([429, way === 'OpenAI' ? 'true' : null])
	})
})
