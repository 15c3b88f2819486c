import { runInDurableObject } from 'cloudflare:test'
import { expect, inject, it, vi } from 'vitest'
import { models } from '../../../shared/catalog.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { readEvents } from '../../../shared/event-stream.ts'
import { newId } from '../../../shared/ids.ts'
import { call, deliver, env, fetchEdge, get, newAccount, patience, post, remove } from '../../testing.ts'

const generations = '/openai/v1/images/generations'

/** What is ordered for a call; its answer is not waited for. */
async function ordered(key: string, body: object): Promise<Generation['request']> {
	const answer = await post(generations, key, { prompt: 'a red sphere', ...body, stream: true })
	expect(answer.status).toBe(200)
	await answer.body?.cancel()
	const { generations: listed } = await (await get('/v1/generations', key)).json<{ generations: Generation[] }>()
	return listed[0]!.request
}

/** The account's one generation, which a node has begun. */
async function begun(account: string, key: string) {
	const [{ id, request }] = await vi.waitFor(async () => {
		const { generations: listed } = await (await get('/v1/generations', key)).json<{ generations: [Generation] }>()
		expect(listed).toHaveLength(1)
		return listed
	}, patience)
	const work = { account, generation: id, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	return { work, request }
}

it.each([
	[{ model: 'dall-e-3' }, ['url']],
	[{}, ['url']],
	[{ model: 'gpt-image-2' }, ['b64_json']],
	// The AI SDK asks for nothing and expects base64, LangChain's tool a URL.
	[{ model: 'scenes' }, ['b64_json', 'url']],
	[{ model: 'scenes', response_format: null }, ['b64_json', 'url']],
	[{ model: 'scenes', response_format: 'url' }, ['url']],
	[{ model: 'gpt-image-2', response_format: 'url' }, ['url']]
])('answers %j with %j', async (asked, expected) => {
	const { account, key } = await newAccount()
	const answering = post(generations, key, { prompt: 'a red sphere', ...asked })
	const { work, request } = await begun(account, key)
	await deliver(work, 0, request.seed)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const [{ revised_prompt: _prompt, seed: _seed, width: _width, height: _height, ...picture }] = (
		await (await answering).json<{ data: [Record<string, string>] }>()
	).data
	expect(Object.keys(picture).sort()).toEqual(expected)
	const { url, b64_json } = picture
	if (url) {
		expect(new URL(url).pathname).toMatch(/\.png$/)
		expect(await (await fetchEdge(url.replace('http://edge.test', ''))).text()).toBe('test')
	}
	if (b64_json) {
		expect(Buffer.from(b64_json, 'base64').toString()).toBe('test')
	}
})

it('writes large pictures as base64 while it reads them', async () => {
	const { account, key } = await newAccount()
	const body = { prompt: 'a red sphere', model: 'gpt-image-2', n: 3, response_format: 'b64_json' }
	const answering = post(generations, key, body)
	const { work, request } = await begun(account, key)
	const pictures = [1_000_001, 0, 2_000_000].map((size) => Uint8Array.from({ length: size }, (_, i) => (i * i) >> 5))
	for (const [n, bytes] of pictures.entries()) {
		await deliver(work, n, request.seed + n)
		await env.BUCKET.put(`${work.generation}/1/${n}`, bytes)
	}
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const answer = await answering
	expect(answer.headers.get('content-type')).toBe('application/json')
	const { data, id: told, ...rest } = await answer.json<{ data: { b64_json: string; seed: number }[]; id: string }>()
	expect(data.map(({ seed }) => seed)).toEqual([0, 1, 2].map((n) => request.seed + n))
	expect(data.map(({ b64_json }, n) => Buffer.from(pictures[n]!).equals(Buffer.from(b64_json, 'base64')))).toEqual([
		true,
		true,
		true
	])
	expect(told).toBe(work.generation)
	// Programs that add up what OpenAI's models cost read it unasked.
	expect(rest).toMatchObject({ quality: 'medium', usage: { input_tokens: 0, output_tokens: 0, total_tokens: 0 } })
})

it('says until when a file is kept that nothing uses', async () => {
	const { key } = await newAccount()
	const body = new FormData()
	body.set('file', new File([Buffer.from(inject('files')['plain.png']!, 'base64')], 'a.png', { type: 'image/png' }))
	const made = await fetchEdge('/openai/v1/files', { method: 'POST', headers: { authorization: `Bearer ${key}` }, body })
	const { created_at, expires_at } = await made.json<{ created_at: number; expires_at: number }>()
	expect(expires_at - created_at).toBe(86_400)
})

it('says which picture storage has lost before anything of an answer in base64 is sent', async () => {
	const { account, key } = await newAccount()
	const answering = post(generations, key, { prompt: 'a red sphere', model: 'gpt-image-2', n: 2 })
	const { work, request } = await begun(account, key)
	await deliver(work, 0, request.seed)
	await deliver(work, 1, request.seed + 1)
	await env.BUCKET.delete(`${work.generation}/1/1`)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const answer = await answering
	// Not to be repeated by itself: that would be another order.
	expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([404, 'false'])
	const message = `Picture ${work.generation}/1/1 was delivered and is no longer in storage.`
	expect(await answer.json()).toMatchObject({ error: { message, code: 'not_found' } })
})

it('says in its stream which picture storage has lost', async () => {
	const { account, key } = await newAccount()
	const answer = await post(generations, key, { prompt: 'a red sphere', n: 2, stream: true })
	const { work, request } = await begun(account, key)
	for (const n of [0, 1]) {
		await deliver(work, n, request.seed + n)
	}
	await env.BUCKET.delete(`${work.generation}/1/1`)
	const events = readEvents(answer.body!)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const told: string[] = []
	for await (const { data } of events) {
		const { type, error } = JSON.parse(data)
		told.push(error ? `${type}: ${error.message}` : type)
	}
	const lost = `Picture ${work.generation}/1/1 was delivered and is no longer in storage.`
	expect(told).toEqual(['image_generation.completed', `error: ${lost}`])
})

it('says in its stream why there is no picture', async () => {
	const { account, key } = await newAccount()
	const answer = await post(generations, key, { prompt: 'a red sphere', stream: true })
	const { work } = await begun(account, key)
	await call(work, 'finish', { outcome: 'failed', detail: 'The model broke.' })
	expect(await answer.text()).toMatch(/event: error\ndata: .*"message":"The model broke\."/)
})

it('tells of each picture once in its stream, also where its Viewer has vanished and another begins anew', async () => {
	const { account, key } = await newAccount()
	const answer = await post(generations, key, { prompt: 'a red sphere', n: 2, stream: true })
	const { work, request } = await begun(account, key)
	await deliver(work, 0, request.seed)
	const types: string[] = []
	for await (const { event } of readEvents(answer.body!)) {
		types.push(event)
		if (types.length === 1) {
			await runInDurableObject(env.VIEWER.getByName(work.generation), (_, state) => state.abort('gone')).catch(() => {})
			await deliver(work, 1, request.seed + 1)
			await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
		}
	}
	expect(types).toEqual(Array(2).fill('image_generation.completed'))
})

it('names no size but theirs, for async-openai and dart_openai refuse others, and tells that of each picture beside it', async () => {
	const { account, key } = await newAccount()
	const body = { prompt: 'a red sphere', model: 'dall-e-3' }
	const answering = post(generations, key, body)
	const { work, request } = await begun(account, key)
	await deliver(work, 0, request.seed)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const { size, data } = await (await answering).json<{ size?: string; data: object[] }>()
	expect([size, data]).toMatchObject([undefined, [{ width: 128, height: 128 }]])
	const other = await newAccount()
	const answer = await post(generations, other.key, { ...body, stream: true })
	const streamed = await begun(other.account, other.key)
	await deliver(streamed.work, 0, streamed.request.seed)
	await call(streamed.work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const told: object[] = []
	for await (const { data: event } of readEvents(answer.body!)) {
		told.push(JSON.parse(event))
	}
	expect(told).toMatchObject([{ type: 'image_generation.completed', size: 'auto', width: 128, height: 128 }])
})

it.each([
	['input-unreadable', 400, 'invalid_request_error', 'input_unreadable'],
	[undefined, 500, 'server_error', 'engine_failed']
])('says whose doing it is that a generation failed, and not to order it again: %s', async (reason, status, type, code) => {
	const { account, key } = await newAccount()
	const answering = post(generations, key, { prompt: 'a red sphere' })
	const { work } = await begun(account, key)
	const detail = 'image: expected a whole picture'
	await call(work, 'finish', { outcome: 'failed', detail, reason })
	const answer = await answering
	expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([status, 'false'])
	expect(await answer.json()).toEqual({ error: { message: detail, type, param: null, code } })
})

it.each([
	[{ quality: 'low' }, 13],
	[{ quality: 'auto' }, 25],
	[{ quality: 'hd' }, 50],
	[{ quality: 'xhigh' }, 75],
	[{ quality: 'max', complexity: 'low', safety_identifier: 'someone', moderation: 'low' }, 100]
])('takes %j for %i steps', async (asked, steps) => {
	const { key } = await newAccount()
	expect(await ordered(key, { model: 'scenes', ...asked })).toMatchObject({ steps })
})

it('knows steps and guidance by the names that other servers of diffusion models have for them, in a form too', async () => {
	const { key } = await newAccount()
	const asked = { num_inference_steps: 7, guidance_scale: 2.5, prompt_enhancement: false }
	expect(await ordered(key, { model: 'scenes', ...asked })).toMatchObject({ steps: 7, guidance: 2.5 })
	const form = new FormData()
	form.set('image', new File([Buffer.from(inject('files')['plain.png']!, 'base64')], 'a.png', { type: 'image/png' }))
	for (const [name, value] of Object.entries({ model: 'scenes', prompt: 'a red sphere', stream: true, ...asked })) {
		form.set(name, String(value))
	}
	const headers = { authorization: `Bearer ${key}` }
	const answer = await fetchEdge('/openai/v1/images/edits', { method: 'POST', headers, body: form })
	expect(answer.status).toBe(200)
	await answer.body?.cancel()
	const { generations: listed } = await (await get('/v1/generations', key)).json<{ generations: Generation[] }>()
	expect(listed[0]!.request).toMatchObject({ task: 'image-to-image', steps: 7, guidance: 2.5 })
})

it('says why no background is transparent', async () => {
	const { key } = await newAccount()
	const answer = await post(generations, key, { model: 'gpt-image-1', prompt: 'a red sphere', background: 'transparent' })
	const message = 'background: expected auto or opaque: pictures have no transparent parts, got "transparent".'
	expect([answer.status, await answer.json()]).toMatchObject([400, { error: { message, param: 'background' } }])
})

it('says what is there in place of what is not', async () => {
	const { key } = await newAccount()
	const answer = await post('/openai/v1/responses', key, { model: 'gpt-5', input: 'x', tools: [{ type: 'image_generation' }] })
	expect([answer.status, await answer.json()]).toMatchObject([
		404,
		{
			error: {
				message: expect.stringMatching(/^POST \/openai\/v1\/responses is not served here; there are POST images\/generations, /)
			}
		}
	])
})

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

it('says of a body that is no object what it is', async () => {
	const { key } = await newAccount()
	const answer = await post(generations, key, [])
	expect([answer.status, await answer.json()]).toMatchObject([
		400,
		{ error: { message: 'the body: expected object, got an array of 0.', param: null, code: 'invalid_request' } }
	])
})

it('takes the size of a model of ours as it stands, and tells by their names what is wrong with it', async () => {
	const { key } = await newAccount()
	const body = { model: 'scenes', prompt: 'a red sphere', size: '1024x100', n: 99, constructor: 1, webhook: { to: '' } }
	const answer = await post(generations, key, body)
	expect(answer.status).toBe(400)
	const { error } = await answer.json<{ error: { message: string; param: string } }>()
	expect(error).toMatchObject({ type: 'invalid_request_error', param: 'size', code: 'invalid_request' })
	expect(error.message).toContain(
		'size (width): expected at most 256, got 1024; size (height): expected a multiple of 32, got 100; '
	)
	expect(error.message).toContain('n (count): expected at most 8, got 99; ')
	expect(error.message).toMatch(/constructor: expected only model, size, quality, .* negative_prompt, steps, .* n, /)
	expect(error.message).toMatch(/webhook\.to: expected only url, events, /)
})

it('says in OpenAI’s words that a body is too large before it is read', async () => {
	const { key } = await newAccount()
	const answer = await post(generations, key, JSON.stringify({ prompt: ' '.repeat(20 * 2 ** 20) }))
	const message = 'Expected at most 20971520 bytes.'
	expect([answer.status, await answer.json()]).toMatchObject([413, { error: { message, code: 'payload_too_large' } }])
})

it('says of an encoded form that it is encoded', async () => {
	const { key } = await newAccount()
	const headers = { 'content-type': 'multipart/form-data; boundary=x', 'content-encoding': 'gzip' }
	const answer = await post('/openai/v1/images/edits', key, '\x1f\x8b', headers)
	const message = 'Expected a body without content-encoding, got gzip.'
	expect([answer.status, await answer.json()]).toMatchObject([415, { error: { message } }])
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
		width: '96',
		height: '128',
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
	expect(listed[0]!.request).toMatchObject({ task: 'image-to-image', width: 96, height: 128, strength: 0.5 })
})

it.each([
	['empty, as go-openai sends it', ''],
	['null, as OpenAI’s own tells one to', 'null']
])('takes a field of a form for one that is absent where it is %s', async (_, none) => {
	const { key } = await newAccount()
	const form = new FormData()
	form.set('image', new File([Buffer.from(inject('files')['plain.png']!, 'base64')], 'a.png', { type: 'image/png' }))
	for (const [name, value] of Object.entries({ model: none, n: none, response_format: none, size: none, stream: 'True' })) {
		form.set(name, value)
	}
	const headers = { authorization: `Bearer ${key}` }
	const answer = await fetchEdge('/openai/v1/images/variations', { method: 'POST', headers, body: form })
	await answer.body?.cancel()
	expect(answer.status).toBe(200)
})

it.each([
	[['50', '50'], 200],
	[['50', '60'], 400]
])('takes a text of a form that comes twice once, as async-openai sends it: %j', async (values, status) => {
	const { key } = await newAccount()
	const form = new FormData()
	form.set('image', new File([Buffer.from(inject('files')['plain.png']!, 'base64')], 'a.png', { type: 'image/png' }))
	for (const [name, value] of Object.entries({
		model: 'scenes',
		prompt: 'a red sphere',
		output_format: 'jpeg',
		stream: 'true'
	})) {
		form.set(name, value)
	}
	for (const value of values) {
		form.append('output_compression', value)
	}
	const headers = { authorization: `Bearer ${key}` }
	const answer = await fetchEdge('/openai/v1/images/edits', { method: 'POST', headers, body: form })
	await answer.body?.cancel()
	expect(answer.status).toBe(status)
})

it('takes from a reference what it has: programs write the other of its two fields as null', async () => {
	const { key } = await newAccount()
	const image_url = `data:image/png;base64,${inject('files')['plain.png']}`
	const edit = { model: 'scenes', prompt: 'a red sphere', stream: true }
	const answer = await post('/openai/v1/images/edits', key, { ...edit, images: [{ file_id: null, image_url }] })
	await answer.body?.cancel()
	expect(answer.status).toBe(200)
	const none = await post('/openai/v1/images/edits', key, { ...edit, images: [{ file_id: null, image_url: null }] })
	expect([none.status, await none.json()]).toMatchObject([400, { error: { param: 'image' } }])
	const both = await post('/openai/v1/images/edits', key, { ...edit, images: [{ image_url, file_id: newId('upl') }] })
	expect([both.status, await both.json()]).toMatchObject([400, { error: { param: 'image' } }])
})

it('reads nothing into a form that it does not say, and passes no image over', async () => {
	const { key } = await newAccount()
	const image = new File([Buffer.from(inject('files')['plain.png']!, 'base64')], 'a.png', { type: 'image/png' })
	const send = async (more: Record<string, string | File | File[]>, name = 'image') => {
		const form = new FormData()
		for (const [field, value] of Object.entries({ model: 'scenes', prompt: 'null', [name]: image, ...more })) {
			for (const one of [value].flat()) {
				form.append(field, one)
			}
		}
		const headers = { authorization: `Bearer ${key}` }
		const answer = await fetchEdge('/openai/v1/images/edits', { method: 'POST', headers, body: form })
		return [answer.status, (await answer.json<{ error: { message: string } }>()).error.message]
	}
	for (const name of ['image', 'image[]', 'image[0]']) {
		expect(await send({ stream: '1' }, name)).toEqual([400, 'stream: expected boolean, got "1".'])
		expect(await send({ 'image[1]': image }, name)).toEqual([400, 'image: expected one image, got 2.'])
	}
	expect(await send({ mask: [image, image] })).toEqual([400, 'mask: expected one image, got 2.'])
	expect(await send({ size: '0x64' })).toEqual([400, 'size: expected auto, or a size such as 1024x768, got "0x64".'])
})

it.each(['gpt-image-1', 'dall-e-3', 'chatgpt-image-latest', 'scenes-inpainting'])(
	'finds the model %s, as a request does, and lists none but its own',
	async (name) => {
		const { key } = await newAccount()
		const found = await get(`/openai/v1/models/${name}`, key)
		const root = name === 'scenes-inpainting' ? name : 'scenes'
		expect([found.status, await found.json()]).toEqual([
			200,
			{ id: name, object: 'model', created: 0, owned_by: 'darkroom', root }
		])
		const { data } = await (await get('/openai/v1/models', key)).json<{ data: { id: string; root: string }[] }>()
		expect(data.map(({ id, root }) => [id, root])).toEqual(models.map(({ id }) => [id, id]))
		expect((await get('/openai/v1/models/gpt-5', key)).status).toBe(404)
	}
)

it('lists models for whoever has a key, and for nobody else', async () => {
	const { account, key } = await newAccount()
	expect((await get('/openai/v1/models', key)).status).toBe(200)
	const made = await post(`/v1/admin/accounts/${account}/keys`, env.ADMIN_TOKEN, { scopes: ['generate'] })
	const { id, key: narrow } = await made.json<{ id: string; key: string }>()
	expect((await get('/openai/v1/models/scenes', narrow)).status).toBe(200)
	await remove(`/v1/keys/${id}`, key)
	for (const wrong of [narrow, 'sk-nothing']) {
		const answer = await get('/openai/v1/models', wrong)
		expect([answer.status, await answer.json()]).toMatchObject([401, { error: { code: 'invalid_api_key' } }])
	}
})

it.each([
	['/openai/deployments/scenes', {}, [96, 128]],
	['/openai/deployments/scenes', { model: 'scenes-layout' }, [96, 128]],
	['/openai/deployments/scenes', { model: 'dall-e-3', size: '1024x1024' }, [256, 256]],
	['/openai/deployments/dall-e-3', { size: '1024x1024' }, [256, 256]],
	['/openai/deployments/scenes/v1', { model: 'gpt-image-1', size: '1024x1024' }, [256, 256]],
	['/openai', { model: 'scenes' }, [96, 128]]
])("takes what Azure's clients send to %s with %j", async (base, more, [width, height]) => {
	const { key } = await newAccount()
	const answer = await fetchEdge(`${base}/images/generations?api-version=2024-10-21`, {
		method: 'POST',
		headers: { 'api-key': key, 'content-type': 'application/json' },
		body: JSON.stringify({ prompt: 'a red sphere', size: '96x128', stream: true, ...more })
	})
	expect(answer.status).toBe(200)
	await answer.body?.cancel()
	const { generations: listed } = await (await get('/v1/generations', key)).json<{ generations: Generation[] }>()
	expect(listed).toMatchObject([{ request: { model: 'scenes', width, height } }])
	const told = await fetchEdge('/openai/models?api-version=2024-10-21', { headers: { 'api-key': key } })
	expect([told.status, await told.json()]).toMatchObject([200, { object: 'list' }])
	const strange = await fetchEdge(`${base}/images/generations`, { method: 'POST', headers: { 'api-key': 'nobody' }, body: '{}' })
	expect([strange.status, await strange.json()]).toMatchObject([401, { error: { code: 'invalid_api_key' } }])
})
