import { expect, it } from 'vitest'
import type { Generation } from '../../../shared/contract/generation.ts'
import { env, fetchEdge, get, newAccount, post } from '../../testing.ts'

const generations = '/openai/v1/images/generations'

/** What is ordered for a call; its answer is not waited for. */
async function ordered(key: string, body: object): Promise<Generation['request']> {
	const answer = await post(generations, key, { prompt: 'a red sphere', ...body, stream: true })
	expect(answer.status).toBe(200)
	await answer.body?.cancel()
	const { generations: listed } = await (await get('/v1/generations', key)).json<{ generations: Generation[] }>()
	return listed[0]!.request
}

it.each([
	['1024x1024', [256, 256]],
	['1536x1024', [256, 160]],
	['1024x1792', [128, 256]],
	['256x256', [256, 256]],
	['auto', [128, 128]]
])('takes their size %s for the nearest of ours where the model is theirs', async (size, expected) => {
	const { key } = await newAccount()
	const { model, width, height } = await ordered(key, { model: 'dall-e-3', quality: 'standard', style: 'vivid', size })
	expect([model, width, height]).toEqual(['scenes', ...expected])
})

it('takes the size of a model of ours as it stands, and tells by their names what is wrong with it', async () => {
	const { key } = await newAccount()
	const body = { model: 'scenes', prompt: 'a red sphere', size: '1024x100', n: 99, constructor: 1 }
	const answer = await post(generations, key, body)
	expect(answer.status).toBe(400)
	const { error } = await answer.json<{ error: { message: string; param: string } }>()
	expect(error).toMatchObject({ type: 'invalid_request_error', param: 'size', code: 'invalid_request' })
	expect(error.message).toContain(
		'size (width): expected at most 256, got 1024; size (height): expected a multiple of 32, got 100; '
	)
	expect(error.message).toContain('n (count): expected at most 8, got 99; ')
	expect(error.message).toContain('constructor: expected only model, ')
})

it.each(['multipart/form-data', 'Multipart/Form-Data; boundary=x'])('refuses what is no form: %s', async (type) => {
	const { key } = await newAccount()
	for (const path of ['/openai/v1/images/edits', '/openai/v1/files', '/replicate/v1/files']) {
		const answer = await post(path, key, 'no form', { 'content-type': type })
		expect(answer.status).toBe(400)
		expect(await answer.text()).toMatch(/could not be parsed as a form/)
	}
})

it('takes fields of ours from a form, numbers too', async () => {
	const { key } = await newAccount()
	const form = new FormData()
	const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=='
	form.set('image', new File([Buffer.from(png, 'base64')], 'a.png', { type: 'image/png' }))
	const fields = {
		model: 'scenes',
		prompt: 'a red sphere',
		stream: 'true',
		width: '64',
		height: '96',
		strength: '0.5',
		url_ttl: '60'
	}
	for (const [name, value] of Object.entries(fields)) {
		form.set(name, value)
	}
	const headers = { authorization: `Bearer ${key}` }
	const answer = await fetchEdge('/openai/v1/images/edits', { method: 'POST', headers, body: form })
	expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
	await answer.body?.cancel()
	const { generations: listed } = await (await get('/v1/generations', key)).json<{ generations: Generation[] }>()
	expect(listed[0]!.request).toMatchObject({ task: 'image-to-image', width: 64, height: 96, strength: 0.5 })
})

it('lists models for whoever has a key, and for nobody else', async () => {
	const { account, key } = await newAccount()
	expect((await get('/openai/v1/models', key)).status).toBe(200)
	const made = await post(`/v1/admin/accounts/${account}/keys`, env.ADMIN_TOKEN, { scopes: ['generate'] })
	const { id, key: narrow } = await made.json<{ id: string; key: string }>()
	expect((await get('/openai/v1/models/scenes', narrow)).status).toBe(200)
	await fetchEdge(`/v1/keys/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${key}` } })
	for (const wrong of [narrow, 'sk-nothing']) {
		const answer = await get('/openai/v1/models', wrong)
		expect([answer.status, await answer.json()]).toMatchObject([401, { error: { code: 'invalid_api_key' } }])
	}
})
