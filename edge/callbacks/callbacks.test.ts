import { listDurableObjectIds } from 'cloudflare:test'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { mostCheckpointBytes, type StartAnswer, type UploadAnswer } from '../../shared/contract/callbacks.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import { call, codeOf, env, fetchEdge, get, newAccount, patience, post } from '../testing.ts'
import { jobFor, type Work } from './capability.ts'

const md5 = 'CY9rzUYh03PK3k6DJie09g==' // of "test"
const upload = { n: 0, size: 4, md5, content_type: 'image/png' }

describe('callbacks', () => {
	let generation: Generation
	let work: Work
	let key: string
	beforeEach(async () => {
		const made = await newAccount()
		const { account } = made
		key = made.key
		const submitted = await post('/v1/generations', key, { model: 'scenes', prompt: 'a red sphere', seed: 5, count: 2 })
		generation = await submitted.json()
		work = { account, generation: generation.id, epoch: 1 }
	})
	const start = () => call(work, 'start', { run: 'run-one-one' })
	const image = { ...upload, width: 128, height: 128, seed: 5 }
	const objectKey = () => `${generation.id}/1/0`

	it('hand out the request with the epoch', async () => {
		expect(await (await start()).json<StartAnswer>()).toEqual({
			request: generation.request,
			lease: 15_000,
			delivered: [],
			priority: 1
		})
	})

	it('sign a write-once place for a picture', async () => {
		await start()
		const { url, headers } = await (await call(work, 'upload', upload)).json<UploadAnswer>()
		expect(url).toContain(`http://storage.test/darkroom/${objectKey()}?`)
		const disposition = `inline; filename="${generation.id}-0.png"`
		expect(headers).toMatchObject({ 'content-md5': md5, 'if-none-match': '*', 'content-disposition': disposition })
		expect(await codeOf(await call(work, 'upload', { ...upload, n: 2 }))).toBe('422 invalid-request')
	})

	it('believe in a picture only when they see it as reported', async () => {
		await start()
		expect(await codeOf(await call(work, 'image', image))).toBe('409 not-seen')
		await env.BUCKET.put(objectKey(), 'not test')
		expect(await codeOf(await call(work, 'image', image))).toBe('409 not-seen')
		await env.BUCKET.put(objectKey(), 'tset')
		expect(await codeOf(await call(work, 'image', image))).toBe('409 not-seen')
		await env.BUCKET.put(objectKey(), 'test')
		expect((await call(work, 'image', image)).status).toBe(200)
		expect((await call(work, 'image', image)).status).toBe(200)
		expect(await codeOf(await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1 }))).toBe('409 undelivered')
	})

	it('keep a checkpoint, and hand it to whoever works on after a node that gave the work back', async () => {
		const store = (bytes: string, epoch = 1, length?: string) =>
			fetchEdge(`/callbacks/${work.account}/${work.generation}/${epoch}/checkpoint`, {
				method: 'POST',
				headers: {
					authorization: `Bearer ${jobFor(env, { ...work, epoch }).token}`,
					'content-type': 'application/octet-stream',
					'content-length': length ?? String(bytes.length)
				},
				body: bytes
			})
		expect(await codeOf(await store('too early'))).toBe('409 superseded')
		await start()
		expect((await store('halfway')).status).toBe(200)
		expect((await store('further')).status).toBe(200)
		expect(await codeOf(await store('huge', 1, String(mostCheckpointBytes + 1)))).toBe('413 payload-too-large')
		expect((await call(work, 'yield', {})).status).toBe(200)
		expect(await codeOf(await store('late'))).toBe('409 superseded')
		expect(await (await env.BUCKET.get(`${generation.id}/1/checkpoint`))?.text()).toBe('further')

		const next = await (await call({ ...work, epoch: 2 }, 'start', { run: 'run-two-two' })).json<StartAnswer>()
		expect(next.checkpoint).toContain(`http://storage.test/darkroom/${generation.id}/1/checkpoint?`)
		await call({ ...work, epoch: 2 }, 'finish', { outcome: 'failed', detail: 'enough' })
		await vi.waitFor(async () => expect(await env.BUCKET.head(`${generation.id}/1/checkpoint`)).toBeNull(), patience)
	})

	it('keep no checkpoint of what has ended while it was on its way', async () => {
		await start()
		const { readable, writable } = new FixedLengthStream(8)
		const headers = { authorization: `Bearer ${jobFor(env, work).token}`, 'content-type': 'application/octet-stream' }
		const place = `/callbacks/${work.account}/${work.generation}/1/checkpoint`
		const storing = fetchEdge(place, { method: 'POST', headers: { ...headers, 'content-length': '8' }, body: readable })
		const writer = writable.getWriter()
		await writer.write(Buffer.from('half'))
		expect((await call(work, 'finish', { outcome: 'failed', detail: 'enough' })).status).toBe(200)
		await writer.write(Buffer.from('way!'))
		await writer.close()
		expect(await codeOf(await storing)).toBe('409 ended')
		expect(await env.BUCKET.head(`${generation.id}/1/checkpoint`)).toBeNull()
	})

	it('take previews, and say whether anyone would see more', async () => {
		await start()
		const preview = { n: 0, step: 3, content_type: 'image/webp', data: 'UklGRg==' }
		const progress = { done: 3, total: 50, previews: [preview] }
		expect(await (await call(work, 'progress', progress)).json()).toEqual({ watched: false })
		const waiting = env.VIEWER.getByName(generation.id).wait(work.account, generation.id, 10_000)
		await vi.waitFor(
			async () => expect(await (await call(work, 'progress', progress)).json()).toEqual({ watched: true }),
			patience
		)
		await call(work, 'finish', { outcome: 'failed', detail: 'enough' })
		await waiting
	})

	it('show no pictures that nobody asked for', async () => {
		await start()
		const preview = { n: 2, step: 3, content_type: 'image/webp', data: 'UklGRg==' }
		const steps = { done: 3, total: 50 }
		for (const shown of [{ previews: [{ ...preview, n: 1 }, preview] }, { partial_image: { ...preview, index: 0 } }]) {
			expect(await codeOf(await call(work, 'progress', { ...steps, ...shown }))).toBe('422 invalid-request')
		}
		expect(await (await get(`/v1/generations/${generation.id}`, key)).json()).toMatchObject({ progress: null })
	})

	it.each([
		['input-unreadable', 'input-unreadable', 422, [expect.objectContaining({ loc: ['body', 'image_url'] })]],
		['of-the-future', 'engine-failed', 500, 'image: expected a whole picture']
	])('say whose doing it is that it failed, once and for nothing: %s', async (reason, type, status, told) => {
		await start()
		const detail = 'image: expected a whole picture'
		expect((await call(work, 'finish', { outcome: 'failed', detail, reason })).status).toBe(200)
		expect(await codeOf(await call({ ...work, epoch: 2 }, 'start', { run: 'run-two-two' }))).toBe('409 ended')
		expect(await (await get(`/v1/generations/${generation.id}`, key)).json()).toMatchObject({
			status: 'failed',
			error: { type: `urn:darkroom:problem:${type}`, detail },
			cost: { held: 0, charged: 0 }
		})
		const result = await get(`/fal/queue/darkroom/scenes/requests/${generation.id}`, key)
		expect([result.status, await result.json()]).toMatchObject([status, { detail: told }])
		const prediction = await get(`/replicate/v1/predictions/${generation.id}`, key)
		expect(await prediction.json()).toMatchObject({ status: 'failed', error: detail })
	})

	it('take what a newer node says, as far as they know it', async () => {
		const more = { colour: 'red' }
		const preview = { n: 0, step: 3, content_type: 'image/webp', data: 'UklGRg==' }
		expect((await call(work, 'start', { run: 'run-one-one', ...more })).status).toBe(200)
		const progress = { done: 3, total: 50, previews: [{ ...preview, ...more }], partial_image: { ...preview, index: 0, ...more } }
		expect((await call(work, 'progress', { ...progress, ...more })).status).toBe(200)
		for (const [n, seed] of [5, 6].entries()) {
			expect((await call(work, 'upload', { ...upload, n, ...more })).status).toBe(200)
			await env.BUCKET.put(`${generation.id}/1/${n}`, 'test')
			expect((await call(work, 'image', { ...image, n, seed, ...more })).status).toBe(200)
		}
		const warnings = [{ code: 'blurred', detail: 'It is blurred.', ...more }]
		expect((await call(work, 'finish', { outcome: 'succeeded', inference_ms: 1, warnings, ...more })).status).toBe(200)
	})

	it('refuse tokens for anything else, before any object wakes up', async () => {
		const before = (await listDurableObjectIds(env.ACCOUNT)).length
		const { token } = jobFor(env, work)
		const others: Work[] = [
			{ ...work, epoch: 2 },
			{ ...work, account: 't-nobody' },
			{ ...work, generation: generation.id.replace(/.$/, (last) => (last === '0' ? '1' : '0')) },
			{ ...work, generation: 'nothing' }
		]
		for (const other of others) {
			for (const name of ['start', 'progress', 'upload', 'image', 'yield', 'finish']) {
				expect(await codeOf(await call(other, name, {}, token))).toBe('401 unauthorized')
			}
		}
		expect(await codeOf(await call(work, 'start', {}, `${token}0`))).toBe('401 unauthorized')
		expect(await listDurableObjectIds(env.ACCOUNT)).toHaveLength(before)
	})

	it('do not cross between accounts whose ids and generations read the same together', async () => {
		const { token } = jobFor(env, { ...work, account: 'abc', generation: 'gen_00000000000000000000000000' })
		expect(await codeOf(await call({ ...work, account: 'ab' }, 'start', { run: 'run-one-one' }, token))).toBe('401 unauthorized')
	})

	it.each([
		['start', { run: 'short' }],
		['progress', { done: -1, total: 5 }],
		['progress', { done: 1, total: 5, previews: [{ n: 0, step: 1, content_type: 'text/html', data: '' }] }],
		['progress', { done: 1, total: 5, previews: [{ n: 0, step: 1, content_type: 'image/webp', data: 'A'.repeat(200_004) }] }],
		['upload', { ...upload, size: 64 * 1024 * 1024 + 1 }],
		['upload', { ...upload, md5: 'x' }],
		['upload', { ...upload, content_type: 'text/html' }],
		['image', upload],
		['finish', { outcome: 'canceled' }]
	])('refuse nonsense: %s %j', async (name, body) => {
		expect(await codeOf(await call(work, name, body))).toBe('422 invalid-request')
	})
})
