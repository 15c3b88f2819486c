import { expect, it } from 'vitest'
import { fetchEdge, get, newAccount } from '../testing.ts'

const form = 'multipart/form-data; boundary=x'

it.each([
	['/openai/v1/images/generations', 'application/json'],
	['/openai/v1/images/edits', form],
	['/openai/v1/images/variations', form],
	['/openai/v1/files', form],
	['/replicate/v1/predictions', 'application/json'],
	['/replicate/v1/models/darkroom/scenes/predictions', 'application/json'],
	['/replicate/v1/deployments/darkroom/scenes/predictions', 'application/json'],
	['/replicate/v1/files', form],
	['/fal/run/darkroom/scenes', 'application/json'],
	['/fal/queue/darkroom/scenes', 'application/json'],
	['/fal/proxy', 'application/json']
])('POST %s keeps nothing of a body that comes without a genuine key', async (path, type) => {
	for (const authorization of [undefined, 'Bearer dk_acme_x', 'Token nobody', 'Key nobody']) {
		const headers = {
			'content-type': type,
			'x-fal-target-url': 'https://fal.run/darkroom/scenes',
			...(authorization && { authorization })
		}
		// Whoever had read it would find that it is neither JSON nor a form.
		const answer = await fetchEdge(path, { method: 'POST', headers, body: '{' })
		expect([authorization, answer.status]).toEqual([authorization, 401])
	}
})

it('keeps nothing of a file that comes with another token than was told', async () => {
	const place = '/fal/files/acme/upl_00000000000000000000000000?until=9999999999&token=x'
	expect((await fetchEdge(place, { method: 'PUT', body: 'no picture' })).status).toBe(404)
})

it.each(['/replicate/v1/predictions/nothing', '/fal/queue/darkroom/scenes/requests/nothing'])(
	'GET %s tells of no address of ours, and of nothing without a key',
	async (path) => {
		const { key } = await newAccount()
		const answer = await get(path, key)
		expect([answer.status, await answer.json()]).toMatchObject([404, { detail: 'This account has no generation nothing.' }])
		expect((await get(path, 'nobody')).status).toBe(401)
	}
)
