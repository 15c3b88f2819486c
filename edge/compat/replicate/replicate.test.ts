import { expect, it } from 'vitest'
import type { Generation } from '../../../shared/contract/generation.ts'
import { get, newAccount, post } from '../../testing.ts'

const order = (key: string, cancelAfter: string) =>
	post(
		'/replicate/v1/predictions',
		key,
		{ model: 'darkroom/scenes', input: { prompt: 'a red sphere' } },
		{ 'cancel-after': cancelAfter }
	)

it.each([
	['90', 90],
	['90s', 90],
	['5m', 300],
	['1h30m45s', 5_445]
])('Cancel-After: %s is a deadline', async (duration, seconds) => {
	const { key } = await newAccount()
	const answer = await order(key, duration)
	expect(answer.status).toBe(201)
	const { id } = await answer.json<{ id: string }>()
	const { deadline, created_at } = await (await get(`/v1/generations/${id}`, key)).json<Generation>()
	expect(Date.parse(deadline!) - Date.parse(created_at)).toBe(seconds * 1_000)
})

it.each(['soon', '5d', '-5s', '1.5m', ''])('Cancel-After: %j is refused, and nothing is ordered', async (duration) => {
	const { key } = await newAccount()
	const answer = await order(key, duration)
	expect(answer.status).toBe(422)
	expect(await answer.json()).toMatchObject({ detail: expect.stringContaining('Cancel-After: expected a duration') })
	expect(await (await get('/v1/generations', key)).json()).toMatchObject({ generations: [] })
})
