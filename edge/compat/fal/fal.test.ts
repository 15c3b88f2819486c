import { runInDurableObject } from 'cloudflare:test'
import { afterEach, expect, inject, it, vi } from 'vitest'
import { receiver } from '../../receiver.ts'
import { call, deliver, env, fetchEdge, get, newAccount, patience, post } from '../../testing.ts'

afterEach(() => void vi.useRealTimers())

const app = '/fal/queue/darkroom/scenes'
const submit = async (key: string, body: object, path = app, headers = {}) => {
	const answer = await post(path, key, body, headers)
	return { status: answer.status, body: await answer.json<Record<string, never>>() }
}

it('refuses an app that is not here as one that is not found', async () => {
	const { key } = await newAccount()
	// Whatever is asked of it: fields are other apps'.
	for (const input of [{}, { image_size: 'square', loras: [] }]) {
		expect(await submit(key, { prompt: 'a red sphere', ...input }, '/fal/queue/some/thing')).toMatchObject({
			status: 404,
			body: { detail: expect.stringContaining('"thing"') }
		})
	}
})

it("takes a task after an app's name, and finds nothing at any other path below it", async () => {
	const { key } = await newAccount()
	const image_url = `data:image/png;base64,${inject('files')['plain.png']}`
	const { body } = await submit(key, { prompt: 'a red sphere', image_url }, `${app}/image-to-image`)
	expect(body.status_url).toBe(`http://edge.test${app}/requests/${body.request_id}/status`)
	expect(await (await get(`/v1/generations/${body.request_id}`, key)).json()).toMatchObject({
		request: { task: 'image-to-image' }
	})
	expect(await submit(key, { prompt: 'a red sphere' }, `${app}/image-to-image`)).toMatchObject({
		status: 422,
		body: { detail: [{ loc: ['body', 'image_url'] }] }
	})
	const stream = await post('/fal/run/darkroom/scenes/text-to-image/stream', key, { prompt: 'a red sphere' })
	expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8'])
	await stream.body?.cancel()
	// Their documentation has both in the addresses of a request, and programs make these themselves.
	const { status_url, response_url, cancel_url } = body as Record<string, string>
	const within = (url: string | undefined) => url!.replace('http://edge.test', '').replace(app, `${app}/image-to-image`)
	expect(await (await get(within(status_url), key)).json()).toMatchObject({ status: 'IN_QUEUE' })
	expect((await fetchEdge(within(cancel_url), { method: 'PUT', headers: { authorization: `Key ${key}` } })).status).toBe(202)
	for (const url of [`${response_url!.replace('http://edge.test', '')}/response`, `${within(response_url)}/response`]) {
		expect((await get(url, key)).status).toBe(499)
	}
	for (const path of ['/dev', '/image-to-images', '/image-to-image/dev', '/requests', '/']) {
		const { status, body } = await submit(key, { prompt: 'a red sphere' }, `${app}${path}`)
		expect([path, status, body.detail]).toEqual([path, 404, expect.stringContaining('is not served here')])
	}
})

it('names each refused request, as its clients tell it in their errors', async () => {
	const { key } = await newAccount()
	for (const path of [app, '/fal/run/some/thing', '/fal/queue/darkroom/scenes/nothing/requests']) {
		const { headers } = await post(path, key, {})
		expect(headers.get('x-fal-request-id')).toMatch(/^req_/)
		expect(headers.get('x-fal-request-id')).toBe(headers.get('x-request-id'))
	}
})

it('names the fields at fault as FastAPI does, by the names that they have there', async () => {
	const { key } = await newAccount()
	expect(await submit(key, { num_images: 99 })).toMatchObject({
		status: 422,
		body: {
			detail: expect.arrayContaining([
				{ loc: ['body', 'num_images'], msg: 'Expected at most 8, got 99', type: 'value_error' },
				{ loc: ['body', 'prompt'], msg: 'Expected string, got nothing', type: 'missing' }
			]),
			// What their client for JavaScript says of an error: else the status's words, which HTTP/2 has none of.
			message: expect.stringContaining('num_images: Expected at most 8, got 99')
		}
	})
	expect(await submit('nothing', {})).toMatchObject({ status: 401, body: { detail: expect.any(String) } })
})

it.each([
	[{ image_size: 'square_hd', sync_mode: true, expand_prompt: true, seed: null }, [256, 256]],
	[{ image_size: 'landscape_16_9' }, [256, 128]],
	[{ aspect_ratio: '9:16' }, [96, 160]],
	[{ aspect_ratio: 'auto' }, [128, 128]],
	[{ image_size: 'auto' }, [128, 128]],
	[{ image_size: { width: 96, height: 128 } }, [96, 128]]
])('takes %j for what it means here', async (input, [width, height]) => {
	const { key } = await newAccount()
	const { status, body } = await submit(key, { prompt: 'a red sphere', ...input })
	expect(status).toBe(200)
	expect(await (await get(`/v1/generations/${body.request_id}`, key)).json()).toMatchObject({ request: { width, height } })
})

it('refuses to mind the length of a queue, and says what there is in its place', async () => {
	const { key } = await newAccount()
	const { status, body } = await submit(key, { prompt: 'a red sphere' }, `${app}?fal_max_queue_length=10`)
	expect([status, body.message]).toEqual([422, expect.stringMatching(/^fal_max_queue_length: .* x-fal-request-timeout /)])
	expect(await (await get('/v1/generations', key)).json()).toMatchObject({ generations: [] })
})

it.each([
	['DPM++ 2M SDE Karras', 'dpm++-2m-sde-karras'],
	['Euler A', 'euler-ancestral'],
	['unipc', 'unipc']
])('takes the scheduler %s, and what else their Stable Diffusion names otherwise', async (scheduler, sampler) => {
	const { key } = await newAccount()
	const image_url = `data:image/png;base64,${inject('files')['plain.png']}`
	const input = { prompt: 'a red sphere', scheduler, image_url, noise_strength: 0.5, image_format: 'jpeg' }
	const { body } = await submit(key, input)
	expect(await (await get(`/v1/generations/${body.request_id}`, key)).json()).toMatchObject({
		request: { sampler, strength: 0.5, output_format: 'jpeg' }
	})
})

it('tells which fields there are by the names that they have there', async () => {
	const { key } = await newAccount()
	const answer = await post(app, key, { prompt: 'a red sphere', steps_: 4, scheduler: 'TCD' })
	const { detail } = await answer.json<{ detail: { loc: string[]; msg: string }[] }>()
	const told = Object.fromEntries(detail.map(({ loc, msg }) => [loc.join('.'), msg]))
	expect(told['body.steps_']).toMatch(
		/^Expected only model, task, prompt, negative_prompt, image_size, num_inference_steps, guidance_scale, .*num_images, /
	)
	expect(told['body.scheduler']).toMatch(/"euler-ancestral".* got "tcd"/)
})

it('takes the image of a list of one, as models have it that take several', async () => {
	const { key } = await newAccount()
	const image = `data:image/png;base64,${inject('files')['plain.png']}`
	const { status, body } = await submit(key, { prompt: 'a red sphere', image_urls: [image] })
	expect(status).toBe(200)
	expect(await (await get(`/v1/generations/${body.request_id}`, key)).json()).toMatchObject({
		request: { task: 'image-to-image' }
	})
	expect(await submit(key, { prompt: 'a red sphere', image_urls: [image, image] })).toMatchObject({
		status: 422,
		body: { detail: [{ loc: ['body', 'image_urls'], msg: 'Expected a list of one image, got 2' }] }
	})
	// Programs that call many models send one image in both; of two, one would be passed over.
	const { status: once } = await submit(key, { prompt: 'a red sphere', image_url: image, image_urls: [image] })
	expect(once).toBe(200)
	const other = 'https://example.com/other.png'
	expect(await submit(key, { prompt: 'a red sphere', image_url: image, image_urls: [other] })).toMatchObject({
		status: 422,
		body: { detail: [{ loc: ['body', 'image_url'], msg: 'Expected one image, got 2' }] }
	})
})

it('passes over an empty list, and which checker there is to be', async () => {
	const { key } = await newAccount()
	const { status } = await submit(key, { prompt: 'a red sphere', loras: [], embeddings: [], safety_checker_version: 'v1' })
	expect(status).toBe(200)
})

it.each([
	[{ image_size: { width: 1024, height: 128 } }, ['image_size', 'width']],
	[{ image_size: 'constructor' }, ['image_size']],
	[{ image_size: '128x128' }, ['image_size']],
	[{ image_size: [128, 128] }, ['image_size']],
	[{ constructor: 1 }, ['constructor']],
	[{ control_image_url: 'https://example.com/edges.png' }, ['control_image_url']],
	[{ controlnet_conditioning_scale: 0.5 }, ['controlnet_conditioning_scale']],
	[{ control_guidance_start: 0.5 }, ['control_guidance_start']],
	[{ control_guidance_end: 0.5 }, ['control_guidance_end']],
	[{ aspect_ratio: '0:0' }, ['aspect_ratio'], 'Expected a ratio such as 16:9, got "0:0"']
])('tells where %j is wrong', async (input, path, msg: unknown = expect.any(String)) => {
	const { key } = await newAccount()
	const { status, body } = await submit(key, { prompt: 'a red sphere', ...input })
	expect([status, body]).toMatchObject([422, { detail: [{ loc: ['body', ...path], msg }] }])
})

it('takes an order that says which it is once, however often it is sent', async () => {
	const { key } = await newAccount()
	const headers = { 'idempotency-key': 'one' }
	const [first, again] = [
		await submit(key, { prompt: 'a red sphere' }, app, headers),
		await submit(key, { prompt: 'a red sphere' }, app, headers)
	]
	expect(again.body.request_id).toBe(first.body.request_id)
})

it('takes files where older clients have theirs', async () => {
	const { key } = await newAccount()
	const target = 'https://rest.alpha.fal.ai/storage/upload/initiate'
	const answer = await post('/fal/proxy', key, { content_type: 'image/png' }, { 'x-fal-target-url': target })
	expect(answer.status).toBe(200)
	const { upload_url, file_url } = await answer.json<{ upload_url: string; file_url: string }>()
	const at = (url: string, init?: RequestInit) => fetchEdge(url.replace('http://edge.test', ''), init)
	const body = Buffer.from(inject('files')['plain.png']!, 'base64')
	expect((await at(upload_url.replace('/upl_', '/upl_0'), { method: 'PUT', body })).status).toBe(404)
	expect((await at(upload_url, { method: 'PUT', body })).status).toBe(200)
	const file = await at(file_url)
	expect([file.headers.get('content-type'), Buffer.from(await file.arrayBuffer())]).toEqual(['image/png', body])
	// Who may write it may not read it, nor write it for ever.
	expect((await at(upload_url)).status).toBe(404)
	expect((await at(upload_url, { method: 'PUT', body })).status).toBe(200)
	vi.setSystemTime(Date.now() + 301_000)
	expect((await at(upload_url, { method: 'PUT', body })).status).toBe(404)
	expect((await at(file_url)).status).toBe(200)
})

it('tells where a picture is by an address that ends as its file would, and that a key may be shown to', async () => {
	const { account, key } = await newAccount()
	const { body } = await submit(key, { prompt: 'a red sphere', seed: 5 })
	const generation = String(body.request_id)
	const work = { account, generation, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await deliver(work, 0, 5)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const { images } = await (await get(`${app}/requests/${generation}`, key)).json<{ images: { url: string }[] }>()
	const { pathname, search } = new URL(images[0]!.url)
	expect(pathname).toBe(`/outputs/${generation}/1/0.png`)
	expect(await (await get(pathname + search, key)).text()).toBe('test')
})

it.each([
	[true, 'data:image/png;base64,dGVzdA=='],
	[false, expect.stringMatching(/^http/)]
])('has pictures in the answer of a call itself where sync_mode is %j', async (sync_mode, url) => {
	const { account, key } = await newAccount()
	const answering = post('/fal/run/darkroom/scenes', key, { prompt: 'a red sphere', num_images: 2, seed: 5, sync_mode })
	const [{ id }] = await vi.waitFor(async () => {
		const { generations } = await (await get('/v1/generations', key)).json<{ generations: [{ id: string }] }>()
		expect(generations).toHaveLength(1)
		return generations
	}, patience)
	const work = { account, generation: id, epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await deliver(work, 0, 5)
	await deliver(work, 1, 6)
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
	const answer = await answering
	expect([answer.headers.get('x-fal-request-id'), answer.headers.get('content-type')]).toEqual([id, 'application/json'])
	const image = { url, width: 128, height: 128, content_type: 'image/png' }
	expect(await answer.json()).toMatchObject({ images: [image, image], seed: 5 })
})

it('labels lines of the log, for the clients that look for their level there', async () => {
	const { account, key } = await newAccount()
	const { body } = await submit(key, { prompt: 'a red sphere' })
	const work = { account, generation: String(body.request_id), epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await call(work, 'progress', { done: 5, total: 25 })
	const { logs } = await (await get(`${app}/requests/${body.request_id}/status?logs=1`, key)).json<{ logs: object[] }>()
	expect(logs).toEqual([
		{
			message: '5/25 steps',
			level: 'INFO',
			source: 'USER',
			labels: { level: 'INFO', source: 'USER' },
			timestamp: expect.any(String)
		}
	])
})

it('has the log of what has ended, too, and in it what a client should know', async () => {
	const { account, key } = await newAccount()
	const { body } = await submit(key, { prompt: 'a red sphere', num_images: 2 })
	const work = { account, generation: String(body.request_id), epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	const [{ request }] = (await (await get('/v1/generations', key)).json<{ generations: [{ request: { seed: number } }] }>())
		.generations
	await deliver(work, 0, request.seed)
	await deliver(work, 1, request.seed + 1)
	const warnings = [{ code: 'prompt-truncated', detail: 'The prompt is too long.' }]
	await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1, warnings })
	const status = async (query: string) =>
		(await get(`${app}/requests/${body.request_id}/status${query}`, key)).json<{ status: string; logs: object[] | null }>()
	const { status: ended, logs } = await status('?logs=1')
	expect([ended, logs]).toMatchObject([
		'COMPLETED',
		[
			{ level: 'WARN', message: 'The prompt is too long.' },
			{ level: 'INFO', message: '2/2 pictures' }
		]
	])
	expect((await status('')).logs).toBeNull()
})

it('answers for a request that was canceled as fal does', async () => {
	const { key } = await newAccount()
	const { body } = await submit(key, { prompt: 'a red sphere' })
	const result = `${app}/requests/${body.request_id}`
	expect([(await get(result, key)).status, (await get(`${result}/status`, key)).status]).toEqual([400, 202])
	expect((await post(`/v1/generations/${body.request_id}/cancel`, key, {})).status).toBe(200)
	const answer = await get(result, key)
	expect([answer.status, answer.headers.get('x-fal-error-type')]).toEqual([499, 'client_cancelled'])
	expect(await answer.json()).toMatchObject({ error_type: 'client_cancelled', detail: expect.stringContaining('canceled') })
	const ended = await get(`${result}/status`, key)
	expect([ended.status, await ended.json()]).toMatchObject([200, { status: 'COMPLETED', error_type: 'client_cancelled' }])
})

it('ends what nobody has started in time as fal does, and its clients do not ask again', async () => {
	const { key } = await newAccount()
	const { status, body } = await submit(key, { prompt: 'a red sphere' }, app, { 'x-fal-request-timeout': '0.2' })
	expect(status).toBe(200)
	const result = `${app}/requests/${body.request_id}`
	await vi.waitFor(async () => expect((await get(result, key)).status).toBe(504), patience)
	const { headers } = await get(result, key)
	expect([headers.get('x-fal-error-type'), headers.get('x-fal-request-timeout-type')]).toEqual(['request_timeout', 'user'])
	expect(await (await get(`${result}/status`, key)).json()).toMatchObject({ status: 'COMPLETED', error_type: 'request_timeout' })
})

it.each(['', '/stream'])(
	'lets a call that waits wait on where its account cannot be asked for a moment, for it would be sent again: %s',
	async (stream) => {
		const { account, key } = await newAccount()
		const sql = (query: string) =>
			runInDurableObject(env.ACCOUNT.getByName(account), (_, { storage }) => storage.sql.exec<{ id: string }>(query).toArray())
		const answer = post(`/fal/run/darkroom/scenes${stream}`, key, { prompt: 'a red sphere', seed: 5 }).then(async (answer) => {
			return [answer.status, await answer.text()]
		})
		const [{ id } = { id: '' }] = await vi.waitFor(async () => {
			const rows = await sql('SELECT id FROM generations')
			expect(rows).toHaveLength(1)
			return rows
		}, patience)
		await sql("CREATE TRIGGER broken BEFORE UPDATE ON keys BEGIN SELECT RAISE(ABORT, 'broken'); END")
		vi.useFakeTimers({ toFake: ['Date'] })
		vi.setSystemTime(Date.now() + 61_000)
		await runInDurableObject(env.VIEWER.getByName(id), (_, state) => state.abort('gone')).catch(() => {})
		await expect(Promise.race([answer, scheduler.wait(500)])).resolves.toBeUndefined()
		await sql('DROP TRIGGER broken')
		const work = { account, generation: id, epoch: 1 }
		await call(work, 'start', { run: 'run-one-one' })
		await deliver(work, 0, 5)
		await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 })
		expect(await answer).toEqual([200, expect.stringContaining('"images":[{"url":"http://edge.test/outputs/')])
	}
)

it('answers a call that waits, and that nobody has started in time, in the same way', async () => {
	const { key } = await newAccount()
	const body = { prompt: 'a red sphere' }
	const answer = await post('/fal/run/darkroom/scenes', key, body, { 'x-fal-request-timeout': '0.2' })
	expect([answer.status, answer.headers.get('x-fal-request-timeout-type')]).toEqual([504, 'user'])
	const stream = await post('/fal/run/darkroom/scenes/stream', key, body, { 'x-fal-request-timeout': '0.2' })
	expect(await stream.text()).toContain('"error_type":"request_timeout"')
})

it.each([
	['without a length', {}],
	['of no length', { body: new Uint8Array(), headers: { 'content-length': '0' } }]
])('takes a body %s for no input, which some models need none of', async (_, { headers, ...sent }: RequestInit) => {
	const { key } = await newAccount()
	const ask = (model: string) =>
		fetchEdge(`/fal/queue/darkroom/${model}`, {
			method: 'POST',
			headers: { authorization: `Key ${key}`, 'content-type': 'application/json', ...headers },
			...sent
		})
	expect((await ask('scenes-unconditional')).status).toBe(200)
	expect(await (await ask('scenes')).json()).toMatchObject({ detail: [{ loc: ['body', 'prompt'], type: 'missing' }] })
})

it('names a webhook where it is among the address', async () => {
	const { key } = await newAccount()
	expect(await submit(key, { prompt: 'a red sphere' }, `${app}?fal_webhook=nowhere`)).toMatchObject({
		status: 422,
		body: { detail: [{ loc: ['query', 'fal_webhook'] }] }
	})
})

it('tells a webhook of a failure as the call itself would be answered', async () => {
	const { account, key } = await newAccount()
	const place = receiver(`fal-${account}`)
	const query = new URLSearchParams({ fal_webhook: place.url })
	const { body } = await submit(key, { prompt: 'a red sphere' }, `${app}?${query}`)
	const work = { account, generation: String(body.request_id), epoch: 1 }
	await call(work, 'start', { run: 'run-one-one' })
	await call(work, 'finish', { outcome: 'failed', reason: 'input-unreadable', detail: 'image: its pixels end early' })
	const { detail } = await (await get(`${app}/requests/${work.generation}`, key)).json<{ detail: object[] }>()
	expect(detail).toMatchObject([{ loc: ['body', 'image_url'], type: 'image_load_error' }])
	const [letter] = await vi.waitFor(async () => {
		const letters = await place.letters()
		expect(letters).toHaveLength(1)
		return letters
	}, patience)
	expect(JSON.parse(letter!.body)).toMatchObject({
		request_id: work.generation,
		status: 'ERROR',
		error: 'image: its pixels end early',
		payload: { detail }
	})
})

it.each(['', '0', '0.1', '-5', '604801', 'nan', 'inf', '1e3', '0x10', '5s', '5, 5'])('no start timeout: %j', async (header) => {
	const { key } = await newAccount()
	expect(await submit(key, { prompt: 'a red sphere' }, app, { 'x-fal-request-timeout': header })).toMatchObject({
		status: 400,
		body: {
			message: `x-fal-request-timeout: expected seconds, more than 0.1 and at most 604800, got ${JSON.stringify(header)}.`
		}
	})
})

it.each(['', 'high', 'LOW', '1', 'low, normal'])('no priority: %j', async (header) => {
	const { key } = await newAccount()
	const answer = await submit(key, { prompt: 'a red sphere' }, app, { 'x-fal-queue-priority': header })
	expect(answer).toMatchObject({
		status: 400,
		body: { message: `x-fal-queue-priority: expected low or normal, got ${JSON.stringify(header)}.` }
	})
})

it.each([
	['', 'expected an https URL'],
	['http://queue.fal.run/darkroom/scenes', 'expected an https URL'],
	['https://queue.fal.run.evil.test/darkroom/scenes', 'expected an https URL'],
	['https://queue.fal.run@evil.test/darkroom/scenes', 'expected an https URL'],
	['https://queue.fal.run:8443/darkroom/scenes', 'expected an https URL'],
	['https://queue.fal.run/scenes', 'is not served here'],
	// Asked for before a realtime connection.
	['https://rest.fal.ai/tokens/', 'no realtime connections']
])('the proxy goes nowhere but to what fal has: %j', async (target, message) => {
	const { key } = await newAccount()
	const answer = await post('/fal/proxy', key, { prompt: 'a red sphere' }, { 'x-fal-target-url': target })
	expect([404, 422]).toContain(answer.status)
	expect(JSON.stringify(await answer.json())).toContain(message)
})
