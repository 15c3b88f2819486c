import { runInDurableObject } from 'cloudflare:test'
import { expect, inject, it, vi } from 'vitest'
import { models } from '../../../shared/catalog.ts'
import type { Generation } from '../../../shared/contract/generation.ts'
import { readEvents } from '../../../shared/event-stream.ts'
import { call, deliver, env, fetchEdge, get, newAccount, post, remove } from '../../testing.ts'
import type { Viewer } from '../../viewer/viewer.ts'

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

it.each(['soon', '5d', '-5s', '1.5m', '', '0s', '169h'])(
	'Cancel-After: %j is refused, and nothing is ordered',
	async (duration) => {
		const { key } = await newAccount()
		const answer = await order(key, duration)
		expect(answer.status).toBe(422)
		expect(await answer.json()).toMatchObject({
			detail: expect.stringContaining('Cancel-After: expected ')
		})
		expect(await (await get('/v1/generations', key)).json()).toMatchObject({ generations: [] })
	}
)

const order404 = '/replicate/v1/models/some/thing/predictions'
const input = { prompt: 'a red sphere' }
it.each([
	['a model', order404, { input }, 404, 'Not found', 'There is no model thing.'],
	['a deployment', order404.replace('models', 'deployments'), { input }, 404, 'Not found', 'There is no model thing.'],
	[
		'a version',
		'/replicate/v1/predictions',
		{ version: '0'.repeat(64), input },
		422,
		'Invalid version or not permitted',
		expect.stringMatching(/^- version: expected .*scenes.*, got "0000/)
	],
	[
		'a call',
		'/replicate/v1/trainings',
		{},
		404,
		'Not found',
		expect.stringMatching(/^POST \/replicate\/v1\/trainings is not served here; there are predictions, /)
	]
])('%s that is not here is refused as Replicate does it', async (_, path, body, status, title, detail) => {
	const { key } = await newAccount()
	const answer = await post(path, key, body)
	expect(answer.status).toBe(status)
	expect(await answer.json()).toMatchObject({ title, detail, status })
})

it('names the fields at fault as Replicate does, by the names that they have there', async () => {
	const { key } = await newAccount()
	const refused = (body: object) => post('/replicate/v1/predictions', key, body)
	const answer = await refused({ version: 'darkroom/scenes', input: { num_outputs: 99, num_inference_steps: 0 } })
	expect(answer.status).toBe(422)
	expect(await answer.json()).toMatchObject({
		title: 'Input validation failed',
		detail: expect.stringContaining('- input.num_outputs: expected at most 8, got 99\n'),
		invalid_fields: expect.arrayContaining([
			{ type: 'required', field: 'input.prompt', description: 'expected string, got nothing' },
			{ type: 'invalid', field: 'input.num_inference_steps', description: 'expected at least 1, got 0' }
		])
	})
	expect(await (await refused({ version: 'darkroom/scenes' })).json()).toMatchObject({
		invalid_fields: [{ type: 'required', field: 'input', description: 'expected object, got nothing' }]
	})
	const hooked = { version: 'darkroom/scenes', input, webhook: 'ftp://elsewhere' }
	expect(await (await refused(hooked)).json()).toMatchObject({ invalid_fields: [{ field: expect.stringMatching(/^webhook/) }] })
	const anonymous = await post('/replicate/v1/predictions', 'r8_nothing', hooked)
	expect([anonymous.status, await anonymous.json()]).toMatchObject([401, { title: 'Unauthenticated', status: 401 }])
})

it.each([
	[
		// As the examples of their models have it.
		{ go_fast: true, megapixels: '1', num_outputs: 1, aspect_ratio: '16:9', output_format: 'webp', output_quality: 80 },
		{ width: 160, height: 96, count: 1, output_format: 'webp', output_quality: 80 }
	],
	[
		// Stable Diffusion 3.5's.
		{ cfg: 4.5, steps: 40, aspect_ratio: '1:1', output_format: 'webp', output_quality: 90, prompt_strength: 0.85 },
		{ guidance: 4.5, steps: 40, width: 128, height: 128, output_format: 'webp', output_quality: 90 }
	],
	[
		{ aspect_ratio: '1:1', output_quality: 90, seed: null, disable_safety_checker: true },
		{ width: 128, height: 128, output_quality: null }
	],
	[
		{ aspect_ratio: 'custom', width: 96, height: 128 },
		{ width: 96, height: 128 }
	],
	[{ size: '128x96' }, { width: 128, height: 96 }],
	[
		{ scheduler: 'K_EULER', output_format: 'jpg' },
		{ sampler: 'euler', output_format: 'jpeg', output_quality: 90 }
	]
])('takes %j for what it means here', async (given, request) => {
	const { key } = await newAccount()
	const answer = await post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input: { ...input, ...given } })
	expect(answer.status).toBe(201)
	const { id } = await answer.json<{ id: string }>()
	expect(await (await get(`/v1/generations/${id}`, key)).json()).toMatchObject({ request })
})

it.each(['image', 'input_image', 'image_input', 'images', 'input_images'])(
	'takes an image as %s, of which there is one',
	async (name) => {
		const { key } = await newAccount()
		const isList = name.startsWith('image_') || name.endsWith('s')
		const image = `data:image/png;base64,${inject('files')['plain.png']}`
		const order = (value: unknown) =>
			post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input: { ...input, [name]: value } })
		const answer = await order(isList ? [image] : image)
		expect(answer.status).toBe(201)
		expect(await answer.json()).toMatchObject({ input: { task: 'image-to-image' } })
		const several = await order([image, image])
		expect([several.status, await several.json()]).toMatchObject([
			422,
			{ invalid_fields: [{ field: isList ? `input.${name}` : 'input.image' }] }
		])
		if (isList) {
			expect(await (await order([])).json()).toMatchObject({ input: { task: 'text-to-image' } })
		}
	}
)

it('refuses two images under two names, of which one would be passed over', async () => {
	const { key } = await newAccount()
	const order = (image: string, input_image: string) =>
		post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input: { ...input, image, input_image } })
	const image = `data:image/png;base64,${inject('files')['plain.png']}`
	expect((await order(image, image)).status).toBe(201)
	const two = await order(image, 'https://example.com/other.png')
	expect([two.status, await two.json()]).toMatchObject([
		422,
		{ invalid_fields: [{ field: 'input.image', description: 'expected one image, got 2' }] }
	])
})

it('takes an empty prompt as one, and passes over what else is empty', async () => {
	const { key } = await newAccount()
	const image = `data:image/png;base64,${inject('files')['plain.png']}`
	const order = (given: object) =>
		post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input: { prompt: '', ...given } })
	expect(await (await order({ image, mask: '', negative_prompt: '' })).json()).toMatchObject({ input: { prompt: '' } })
	expect(await (await order({ image: '' })).json()).toMatchObject({
		invalid_fields: [{ field: 'input.prompt', description: 'expected at least 1 character, got ""' }]
	})
})

it.each(['image_guidance_scale', 'image_cfg_scale'])('knows %s, which models guided by their image alone have', async (name) => {
	const { key } = await newAccount()
	const order = { version: 'darkroom/scenes', input: { ...input, [name]: 1.5 } }
	const answer = await post('/replicate/v1/predictions', key, order)
	expect([answer.status, await answer.json()]).toMatchObject([422, { invalid_fields: [{ field: 'input.image_guidance_scale' }] }])
})

it.each([
	...['control_scale', 'condition_scale', 'controlnet_conditioning_scale'].map((name) => [name, 'condition_scale'] as const),
	...['control_start', 'control_guidance_start'].map((name) => [name, 'control_guidance_start'] as const),
	...['control_end', 'control_guidance_end'].map((name) => [name, 'control_guidance_end'] as const)
])('knows %s, which models with a ControlNet alone have', async (name, theirs) => {
	const { key } = await newAccount()
	const order = { version: 'darkroom/scenes', input: { ...input, [name]: 1 } }
	const answer = await post('/replicate/v1/predictions', key, order)
	expect([answer.status, await answer.json()]).toMatchObject([422, { invalid_fields: [{ field: `input.${theirs}` }] }])
})

it.each(['constructor', 'toString'])('knows no field %s', async (field) => {
	const { key } = await newAccount()
	const body = `{"version":"darkroom/scenes","input":{"prompt":"a red sphere","scheduler":"constructor","${field}":1}}`
	const answer = await post('/replicate/v1/predictions', key, body)
	expect(answer.status).toBe(422)
	const { invalid_fields } = await answer.json<{ invalid_fields: { field: string }[] }>()
	expect(invalid_fields.map((invalid) => invalid.field).sort()).toEqual([`input.${field}`, 'input.scheduler'].sort())
})

it.each([
	[
		'steps_',
		4,
		expect.stringMatching(/^expected only model, .* num_inference_steps, guidance_scale, .*, got the field "steps_"$/)
	],
	['aspect_ratio', '0:1', 'expected a ratio such as 16:9, got "0:1"'],
	['size', '0x64', 'expected a size such as 512x768, got "0x64"']
])('says what %s may be', async (field, value, description) => {
	const { key } = await newAccount()
	const order = { version: 'darkroom/scenes', input: { ...input, [field]: value } }
	const answer = await post('/replicate/v1/predictions', key, order)
	expect([answer.status, await answer.json()]).toMatchObject([
		422,
		{ invalid_fields: [{ field: `input.${field}`, description }] }
	])
})

it('lets pages follow a stream as Replicate documents it, with credentials', async () => {
	const { key } = await newAccount()
	const answer = await post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input })
	const { urls } = await answer.json<{ urls: { stream: string } }>()
	const origin = 'https://app.example'
	const { pathname, search } = new URL(urls.stream)
	const { status, headers, body } = await fetchEdge(pathname + search, { headers: { origin } })
	await body?.cancel()
	expect([status, headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
	expect([headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')]).toEqual([origin, 'true'])
})

it("lets nobody follow a stream whose URL has expired, or was given another end; the prediction's own is then a new one", async () => {
	const { key } = await newAccount()
	const { id } = await (await post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input })).json<{
		id: string
	}>()
	const streamOf = async () => {
		const { urls } = await (await get(`/replicate/v1/predictions/${id}`, key)).json<{ urls: { stream: string } }>()
		return new URL(urls.stream)
	}
	const follow = async ({ pathname, search }: URL) => {
		const { status, body } = await fetchEdge(pathname + search)
		await body?.cancel()
		return status
	}
	const old = await streamOf()
	expect(await follow(old)).toBe(200)
	vi.useFakeTimers({ toFake: ['Date'] })
	try {
		vi.setSystemTime(Date.now() + 7 * 86_400_000 + 1_000)
		expect(await follow(old)).toBe(404)
		const next = await streamOf()
		expect(await follow(next)).toBe(200)
		old.searchParams.set('until', next.searchParams.get('until')!)
		expect(await follow(old)).toBe(404)
	} finally {
		vi.useRealTimers()
	}
})

it('tells the end alone to a webhook of the older name', async () => {
	const { key } = await newAccount()
	const body = { version: 'darkroom/scenes', input, webhook_completed: 'http://127.0.0.1:1/' }
	const { id } = await (await post('/replicate/v1/predictions', key, body)).json<{ id: string }>()
	await post(`/replicate/v1/predictions/${id}/cancel`, key, {})
	const { deliveries } = await (await get('/v1/webhooks/deliveries', key)).json<{ deliveries: object[] }>()
	expect(deliveries).toMatchObject([{ generation: id, type: 'generation.canceled', url: 'http://127.0.0.1:1/' }])
	const both = await post('/replicate/v1/predictions', key, { ...body, webhook: 'http://127.0.0.1:2/' })
	expect([both.status, await both.json()]).toMatchObject([422, { invalid_fields: [{ field: 'webhook_completed' }] }])
})

it.each([
	[[], { type: 'invalid', field: 'body' }],
	[{ input }, { type: 'required', field: 'version' }],
	[{ version: 'darkroom/scenes' }, { type: 'required', field: 'input' }],
	[
		{ version: 'darkroom/scenes', input, webhook: 'nowhere' },
		{ type: 'invalid', field: 'webhook' }
	]
])('names what is wrong with %j as it was sent', async (body, invalid) => {
	const { key } = await newAccount()
	const answer = await post('/replicate/v1/predictions', key, body)
	expect([answer.status, await answer.json()]).toMatchObject([422, { invalid_fields: [invalid] }])
})

it('names a parameter of a list that it does not know, and no input', async () => {
	const { key } = await newAccount()
	expect(await (await get('/replicate/v1/predictions?order=asc', key)).json()).toMatchObject({
		invalid_fields: [{ field: 'order' }]
	})
})

it('tells of no output before all of it is there, for the AI SDK takes any for the whole', async () => {
	const { account, key } = await newAccount()
	const created = await post('/replicate/v1/predictions', key, {
		version: 'darkroom/scenes',
		input: { ...input, num_outputs: 2, seed: 5 }
	})
	const { id: generation } = await created.json<{ id: string }>()
	const work = { account, generation, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await deliver(work, 0, 5)
	const prediction = async () => (await get(`/replicate/v1/predictions/${generation}`, key)).json<{ output: string[] }>()
	expect(await prediction()).toMatchObject({ status: 'processing', output: null })
	await deliver(work, 1, 6)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const { output } = await prediction()
	expect(output.map((url) => new URL(url).pathname)).toEqual([0, 1].map((n) => `/outputs/${generation}/1/${n}.png`))
	// Whoever shows a key where none is needed sees the picture, too.
	expect(await (await get(output[1]!.replace('http://edge.test', ''), key)).text()).toBe('test')
})

it('ends the stream of what failed with an error and the reason, both in JSON', async () => {
	const { account, key } = await newAccount()
	const created = await post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input })
	const { id: generation, urls } = await created.json<{ id: string; urls: { stream: string } }>()
	const work = { account, generation, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await call(work, 'finish', { outcome: 'failed', detail: 'enough' })
	const events = await (await fetchEdge(urls.stream.replace('http://edge.test', ''))).text()
	expect(events).toContain(
		`id: ${generation}:error\nevent: error\ndata: {"detail":"enough"}\n\nid: ${generation}:error.done\nevent: done\ndata: {"reason":"error"}\n\n`
	)
})

it('goes on in a stream after what was told, whatever has become of the object behind it, and has no more after the end', async () => {
	const { account, key } = await newAccount()
	const order = { version: 'darkroom/scenes', input: { ...input, num_outputs: 2, seed: 5 } }
	const created = await post('/replicate/v1/predictions', key, order)
	const { id: generation, urls } = await created.json<{ id: string; urls: { stream: string } }>()
	const work = { account, generation, epoch: 1 }
	const follow = (id?: string) =>
		fetchEdge(urls.stream.replace('http://edge.test', ''), { headers: id === undefined ? {} : { 'last-event-id': id } })
	await call(work, 'start', { run: 'run-one-one' })
	await deliver(work, 1, 6)
	let last: string | undefined
	for await (const { id, event, data } of readEvents((await follow()).body!)) {
		expect([event, new URL(data).pathname]).toEqual(['output', `/outputs/${generation}/1/1.png`])
		last = id
		break
	}
	await runInDurableObject(env.VIEWER.getByName(generation), (_, state) => state.abort('gone')).catch(() => {})
	await deliver(work, 0, 5)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const told: string[] = []
	for await (const { id, event, data } of readEvents((await follow(last)).body!)) {
		told.push(event === 'output' ? new URL(data).pathname : `${event} ${data}`)
		last = id
	}
	expect(told).toEqual([`/outputs/${generation}/1/0.png`, 'done {}'])
	expect((await follow(last)).status).toBe(204)
	// Of another's, and of what nobody was told.
	for (const other of [last!.replace('gen_', 'gen_x'), `${generation}:x.-1..\u00e4`, ':done', '0'.repeat(9_000)]) {
		const all = await (await follow(other)).text()
		expect(all.match(/^event: .*$/gm)).toEqual(['event: output', 'event: output', 'event: done'])
	}
	await remove(`/v1/generations/${generation}`, key)
	expect((await follow()).status).toBe(404)
})

it('goes on in a stream whose object cannot be had at first', async () => {
	const { account, key } = await newAccount()
	const created = await post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input })
	const { id: generation, urls } = await created.json<{ id: string; urls: { stream: string } }>()
	const failing = (_: Viewer, state: DurableObjectState) =>
		void state.blockConcurrencyWhile(() => scheduler.wait(500).then(() => Promise.reject(new Error('gone')))).catch(() => {})
	void runInDurableObject(env.VIEWER.getByName(generation), failing).catch(() => {})
	const told = fetchEdge(urls.stream.replace('http://edge.test', '')).then((answer) => answer.text())
	const work = { account, generation, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await call(work, 'finish', { outcome: 'failed', detail: 'enough' })
	expect(await told).toContain('event: done')
})

interface Input {
	properties: Record<string, { type: string; default?: unknown; enum?: string[]; 'x-order': number }>
	required: string[]
}
const inputOf = async (model: string): Promise<Input> => {
	const answer = await fetchEdge(`/replicate/v1/models/darkroom/${model}`)
	const { latest_version } = await answer.json<{
		latest_version: { openapi_schema: { components: { schemas: { Input: Input } } } }
	}>()
	return latest_version.openapi_schema.components.schemas.Input
}

it.each(models.map(({ id }) => id))('takes what the schema of %s tells of its input', async (model) => {
	const { key } = await newAccount()
	const { properties, required } = await inputOf(model)
	const told = Object.entries(properties)
	expect(told.map(([, property]) => property['x-order'])).toEqual(told.map((_, i) => i))
	const picture = `data:image/png;base64,${inject('files')['plain.png']}`
	const given: Record<string, unknown> = {
		image: picture,
		mask: picture,
		semantic_map: picture,
		layout: [{ label: 'red cube', box: [0, 0, 0.5, 0.5] }],
		class_label: properties.class_label?.enum?.[3]
	}
	// As ComfyUI's node sends it: every field that has a default, and those that are required.
	const filled = told.flatMap(([name, property]) => {
		expect([name, typeof property.type]).toEqual([name, 'string'])
		const value = required.includes(name) ? given[name] : property.default
		return value === undefined ? [] : [[name, value]]
	})
	const answer = await post(`/replicate/v1/models/darkroom/${model}/predictions`, key, {
		input: { ...Object.fromEntries(filled), ...('prompt' in properties && input) }
	})
	expect([answer.status, await answer.json()]).toMatchObject([201, { status: 'starting' }])
})

it('tells the input by the names and in the types that Replicate has for it', async () => {
	const { properties } = await inputOf('scenes')
	expect(properties).toMatchObject({
		prompt: { type: 'string', 'x-order': 0 },
		image: { type: 'string', format: 'uri' },
		num_outputs: { type: 'integer', minimum: 1, maximum: 8, default: 1 },
		scheduler: { type: 'string', enum: expect.arrayContaining(['ddim']) },
		seed: { type: 'integer', maximum: 4294967295 }
	})
	expect(properties.seed).not.toHaveProperty('default')
	expect(await inputOf('scenes-classes')).toMatchObject({
		properties: { class_label: { type: 'string', enum: expect.arrayContaining(['red sphere']) } },
		required: ['class_label']
	})
})

it('leaves out what Replicate has no null for: clients made of its OpenAPI document refuse one', async () => {
	const { key } = await newAccount()
	const queued = await (await post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input })).json()
	expect(queued).toMatchObject({ status: 'starting', output: null, error: null })
	for (const name of ['started_at', 'completed_at']) {
		expect(queued).not.toHaveProperty(name)
	}
	const form = new FormData()
	form.set('content', new File([Buffer.from(inject('files')['plain.png']!, 'base64')], 'a.png', { type: 'image/png' }))
	const headers = { authorization: `Bearer ${key}` }
	const made = await fetchEdge('/replicate/v1/files', { method: 'POST', headers, body: form })
	const { created_at, expires_at } = await made.json<{ created_at: string; expires_at: string }>()
	expect(Date.parse(expires_at) - Date.parse(created_at)).toBe(86_400_000)
})

it.each([
	['cursor', 200, 1],
	['created_after=&cursor=', 200, 1],
	['source=web', 200, 0],
	['source=api', 422, undefined],
	['cursor=x', 422, undefined]
])('lists predictions: ?%s', async (query, status, length) => {
	const { key } = await newAccount()
	await post('/replicate/v1/predictions', key, { version: 'darkroom/scenes', input: { prompt: 'a red sphere' } })
	const answer = await get(`/replicate/v1/predictions?${query}`, key)
	const { results } = await answer.json<{ results?: unknown[] }>()
	expect([answer.status, results?.length]).toEqual([status, length])
})

it.each(['replicate/v1/files?cursor=', 'openai/v1/files?after=&limit=&order='])(
	'passes over what has no value: %s',
	async (path) => {
		const { key } = await newAccount()
		expect((await get(`/${path}`, key)).status).toBe(200)
	}
)

it('says what a deployment runs, as their CLI and typed clients look for it', async () => {
	const answer = await fetchEdge('/replicate/v1/deployments/darkroom/scenes')
	const { current_release } = await answer.json<{ current_release: { model: string; version: string } }>()
	expect(current_release).toMatchObject({ model: 'darkroom/scenes', configuration: { max_instances: 1 } })
	expect((await fetchEdge(`/replicate/v1/models/darkroom/scenes/versions/${current_release.version}`)).status).toBe(200)
})

it('tells their CLI, which asks for the hardware, whether a key is good', async () => {
	const { key } = await newAccount()
	expect((await get('/replicate/v1/hardware', key)).status).toBe(200)
	expect((await get('/replicate/v1/hardware', 'r8_nothing')).status).toBe(401)
})

it('finds models by their words', async () => {
	const answer = await fetchEdge('/replicate/v1/search?query=inpainting')
	expect(await answer.json()).toMatchObject({
		query: 'inpainting',
		models: [{ model: { name: 'scenes-inpainting' }, metadata: { tags: ['inpainting'] } }]
	})
})

it('reads no words without end to look for a model by', async () => {
	const ask = (words: string) => fetchEdge('/replicate/v1/models', { method: 'QUERY', body: words })
	expect(await (await ask('"SCENES"')).json()).toMatchObject({
		results: expect.arrayContaining([expect.objectContaining({ name: 'scenes' })])
	})
	expect((await ask('x'.repeat(1_100_000))).status).toBe(413)
})

it('tells in its logs what a client should know, though nothing failed', async () => {
	const { account, key } = await newAccount()
	const { id } = await (await order(key, '5m')).json<{ id: string }>()
	const work = { account, generation: id, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	const { request } = await (await get(`/v1/generations/${id}`, key)).json<Generation>()
	await deliver(work, 0, request.seed)
	const warnings = [{ code: 'prompt-truncated', detail: 'The prompt is too long.' }]
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1, warnings })
	const { logs } = await (await get(`/replicate/v1/predictions/${id}`, key)).json<{ logs: string }>()
	expect(logs).toBe(`Using seed: ${request.seed}\nWarning: The prompt is too long.\n100%|██████████| 25/25\n`)
})
