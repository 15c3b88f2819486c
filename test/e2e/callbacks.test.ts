import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StartAnswer, UploadAnswer } from '../../shared/contract/callbacks.ts'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Job } from '../../shared/queue.ts'
import { type BareEdge, startBareEdge } from '../edge.ts'

const png = (bytes: string) => new TextEncoder().encode(bytes)
const md5 = (bytes: Uint8Array) => createHash('md5').update(bytes).digest('base64')
const about = (bytes: Uint8Array, n = 0) => ({ n, size: bytes.length, md5: md5(bytes), content_type: 'image/png' as const })
const pixels = { width: 128, height: 128, seed: 1 }

describe('the edge does not trust a GPU node', () => {
	let edge: BareEdge
	let key: string
	beforeAll(async () => {
		edge = await startBareEdge()
		key = await edge.key('tester')
	})
	afterAll(() => edge?.close())

	const api = (path: string, init: RequestInit = {}) =>
		fetch(`${edge.url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' } })
	const submit = async (count = 1) => {
		const body = JSON.stringify({ model: 'scenes', prompt: 'a red sphere', seed: 1, count })
		return (await (await api('/v1/generations', { method: 'POST', body })).json()) as Generation
	}
	const read = async ({ id }: Generation) => (await (await api(`/v1/generations/${id}`)).json()) as Generation
	const say = (job: Job, name: string, body: object, token = job.token) =>
		fetch(`${job.callback}/${name}`, {
			method: 'POST',
			headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
			body: JSON.stringify(body)
		})
	const start = (job: Job, run = 'first-run-of-it') => say(job, 'start', { run })
	const upload = async (job: Job, bytes: Uint8Array, n = 0) =>
		(await (await say(job, 'upload', about(bytes, n))).json()) as UploadAnswer
	const put = ({ url, headers }: UploadAnswer, body: Uint8Array) =>
		fetch(url, { method: 'PUT', headers, body: new Uint8Array(body) })
	const code = async (answer: Response) =>
		`${answer.status} ${((await answer.json()) as { type: string }).type.split(':').at(-1)}`
	const success = { outcome: 'succeeded', inference_ms: 5 }
	async function begun(count = 1): Promise<{ generation: Generation; job: Job }> {
		const generation = await submit(count)
		const job = (await edge.takeJob())!
		expect(job.generation).toBe(generation.id)
		expect((await start(job)).status).toBe(200)
		return { generation, job }
	}

	it('delivers what was put, once', async () => {
		const generation = await submit()
		const job = (await edge.takeJob())!
		expect(job).toMatchObject({ generation: generation.id, epoch: 1, callback: expect.stringContaining(edge.url) })
		const granted = (await (await start(job)).json()) as StartAnswer
		expect(granted).toMatchObject({ request: generation.request, delivered: [] })
		expect(granted.lease).toBeGreaterThanOrEqual(10_000)
		// Its answer may have been lost: the same run asks again and is granted again; another run is not.
		expect((await start(job)).status).toBe(200)
		expect(await code(await start(job, 'a-second-node-run'))).toBe('409 superseded')

		const bytes = png('a picture')
		expect(await code(await say(job, 'image', { ...about(bytes), ...pixels }))).toMatch(/^4\d\d not-seen$/)
		expect(await code(await say(job, 'finish', success))).toMatch(/^4\d\d /)
		const place = await upload(job, bytes)
		expect((await put(place, bytes)).status).toBe(200)
		expect((await put(place, bytes)).status).toBe(412)
		expect((await say(job, 'image', { ...about(bytes), ...pixels })).status).toBe(200)
		expect((await say(job, 'image', { ...about(bytes), ...pixels })).status).toBe(200)
		expect(await read(generation)).toMatchObject({ status: 'processing', images: [{ n: 0 }] })
		expect((await say(job, 'finish', success)).status).toBe(200)
		const finished = await read(generation)
		expect(finished).toMatchObject({
			status: 'succeeded',
			metrics: { inference_ms: 5 },
			images: [{ n: 0, size: bytes.length, seed: 1 }]
		})
		expect(new Uint8Array(await (await fetch(finished.images[0]!.url)).arrayBuffer())).toEqual(bytes)
		// Late callbacks of a node that has not noticed.
		expect(await code(await say(job, 'finish', { outcome: 'failed', detail: 'late' }))).toBe('409 ended')
		expect(await code(await say(job, 'upload', about(bytes)))).toBe('409 ended')
		expect(await read(generation)).toMatchObject({ status: 'succeeded' })
	})

	it('takes no other bytes than were announced', async () => {
		const { job } = await begun()
		const bytes = png('announced')
		const place = await upload(job, bytes)
		expect((await put(place, png('altered!!'))).status).toBe(400)
		const { 'if-none-match': _, ...rest } = Object.fromEntries(
			Object.entries(place.headers).map(([name, value]) => [name.toLowerCase(), value])
		)
		expect((await put({ url: place.url, headers: rest as Record<string, string> }, bytes)).status).toBe(403)
		expect((await put(place, bytes)).status).toBe(200)
		const other = png('something else')
		expect(await code(await say(job, 'image', { ...about(other), ...pixels }))).toMatch(/^4\d\d not-seen$/)
		expect((await say(job, 'finish', { outcome: 'failed', detail: 'enough' })).status).toBe(200)
	})

	it('tells the client why a generation failed', async () => {
		const { generation, job } = await begun()
		await say(job, 'finish', { outcome: 'failed', detail: 'the denoiser gave NaN at step 3' })
		expect(await read(generation)).toMatchObject({
			status: 'failed',
			images: [],
			error: { detail: 'the denoiser gave NaN at step 3' }
		})
	})

	it('refuses pictures that were not asked for', async () => {
		const { job } = await begun(2)
		expect((await say(job, 'upload', about(png('third'), 2))).status).toBe(422)
		await say(job, 'finish', { outcome: 'failed', detail: 'enough' })
	})

	it('lets a token speak for its own generation and epoch alone', async () => {
		const first = await begun()
		const second = await begun()
		expect(await code(await say(first.job, 'progress', { done: 1, total: 50 }, second.job.token))).toBe('401 unauthorized')
		const nextEpoch = { ...first.job, callback: first.job.callback.replace(/\/1$/, '/2') }
		expect(nextEpoch.callback).not.toBe(first.job.callback)
		expect(await code(await say(nextEpoch, 'progress', { done: 1, total: 50 }))).toBe('401 unauthorized')
		expect((await say(first.job, 'progress', { done: 1, total: 50 })).status).toBe(200)
		expect(await read(first.generation)).toMatchObject({ progress: { done: 1, total: 50 } })
		for (const { job } of [first, second]) {
			await say(job, 'finish', { outcome: 'failed', detail: 'enough' })
		}
	})

	it('gives the work of a silent node to another, and fences the first', async () => {
		const { generation, job } = await begun(2)
		const first = png('drawn by the first node')
		await put(await upload(job, first), first)
		expect((await say(job, 'image', { ...about(first), ...pixels })).status).toBe(200)
		// Silence: the lease of 15 s runs out.
		const again = (await edge.takeJob(40_000))!
		expect(again).toMatchObject({ generation: generation.id, epoch: 2 })
		expect(again.token).not.toBe(job.token)
		const granted = (await (await start(again, 'the-second-node')).json()) as StartAnswer
		expect(granted.delivered).toEqual([0])
		const late = png('too late')
		expect(await code(await say(job, 'upload', about(late, 1)))).toBe('409 superseded')
		expect(await code(await say(job, 'finish', success))).toBe('409 superseded')
		const second = png('drawn by the second node')
		await put(await upload(again, second, 1), second)
		expect((await say(again, 'image', { ...about(second, 1), ...pixels, seed: 2 })).status).toBe(200)
		expect((await say(again, 'finish', success)).status).toBe(200)
		const finished = await read(generation)
		expect(finished.images.map(({ n, size }) => [n, size])).toEqual([
			[0, first.length],
			[1, second.length]
		])
		expect(await (await fetch(finished.images[0]!.url)).text()).toBe('drawn by the first node')
	})
})
