import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ImageCall, ProgressCall } from '../shared/contract/callbacks.ts'
import type { ResolvedRequest } from '../shared/contract/generation.ts'
import { startEngine } from './engine/client.ts'
import type { DevelopOptions, Engine } from './engine/engine.ts'
import { EngineError } from './engine/errors.ts'
import { workOn } from './generation.ts'
import { tinyRequest } from './golden/tiny.ts'

const request = tinyRequest
/** Still at work whenever the test does something to it. */
const endless = { ...request, width: 128, height: 128, steps: 900 }
/** Still at work when the engine hears what its node says to what it told, and drawn to its end soon. */
const long = { ...request, steps: 250 }

const options = {
	modelsDir: path.join(import.meta.dirname, 'golden'),
	provider: 'cpu',
	threads: 1,
	measureLimits: false
} as const
let engine: Engine
beforeAll(async () => {
	engine = await startEngine({ ...options, models: ['tiny'] })
})
afterAll(() => engine?.close())

/** Has those of its fields that its call has; of bytes that were put or read, none. */
type Body = ImageCall & ProgressCall

/** The other side of the wire: what it was told, and what it answers to a call for the nth time (from 1); `usual` by default. */
let told: { call: string; body: Body; bytes: Buffer }[]
/** What is read from `/stored`. */
let stored: Uint8Array
let answers: Record<string, (nth: number, body: Body) => { status: number; body?: unknown } | undefined>
/** Pictures that counted as such. */
let delivered: number
let server: Server
let origin: string

beforeEach(async () => {
	told = []
	answers = {}
	delivered = 0
	server = createServer(async (incoming, response) => {
		const call = incoming.url!.split('/').at(-1)!
		const bytes = await read(incoming)
		const json = incoming.headers['content-type'] === 'application/json'
		const body = json ? JSON.parse(bytes.toString()) : {}
		told.push({ call, body, bytes })
		const nth = told.filter((other) => other.call === call).length
		const answer = answers[call]?.(nth, body) ?? usual(call)
		if (answer === silence) {
			response.destroy()
			return
		}
		response.setHeader('etag', '"as storage has it"')
		if (answer === asStored) {
			response.writeHead(200, { 'content-length': stored.length }).end(stored)
			return
		}
		response.writeHead(answer.status).end(answer.body === undefined ? undefined : JSON.stringify(answer.body))
	})
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
	origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
	server.closeAllConnections()
	server.close()
})

function usual(call: string): { status: number; body?: unknown } {
	switch (call) {
		case 'start':
			return granted(request)
		case 'upload':
			return { status: 200, body: { url: `${origin}/object`, headers: { 'if-none-match': '*' } } }
		case 'progress':
			return { status: 200, body: { watched: false } }
		case 'stored':
			return asStored
		default:
			return { status: 200, body: {} }
	}
}

const granted = (
	request: ResolvedRequest,
	{ lease = 15_000, delivered = [] as number[], checkpoint = undefined as string | undefined } = {}
) => ({
	status: 200,
	body: { request, lease, delivered, checkpoint }
})
const silence = { status: 0 }
const asStored = { status: 200 }
/** As S3 says it. */
const gone = { status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' }
const problem = (code: string) => ({ status: 409, body: { type: `urn:darkroom:problem:${code}`, detail: code } })

const work = ({ engine: other = engine, signal = new AbortController().signal } = {}) =>
	workOn(
		{ generation: 'gen_1', epoch: 1, callback: `${origin}/gen_1/1`, token: 'secret' },
		{ engine: other, log() {}, onDelivered: () => delivered++ },
		signal
	)

const bytes = (call: string) => told.filter((other) => other.call === call).map(({ bytes }) => bytes)
const bodies = (call: string) => told.filter((other) => other.call === call).map(({ body }) => body)
/** MD5s of the pictures that were put. */
const put = () => bytes('object').map((picture) => createHash('md5').update(picture).digest('base64'))

test('draws, uploads and reports every picture, then says that it has finished', async () => {
	await work()
	expect(told[0]).toMatchObject({ call: 'start', body: { run: expect.stringMatching(/.{8,}/) } })
	const images = bodies('image').sort((a, b) => a.n - b.n)
	expect(images).toMatchObject([
		{ n: 0, width: 16, height: 16, seed: 5, content_type: 'image/png' },
		{ n: 1, width: 16, height: 16, seed: 6, content_type: 'image/png' }
	])
	expect(put().sort()).toEqual(images.map(({ md5 }) => md5).sort())
	expect(told.at(-1)).toMatchObject({ call: 'finish', body: { outcome: 'succeeded', inference_ms: expect.any(Number) } })
})

test('a picture that was delivered counts, though the work then turns out to be another’s', async () => {
	answers.finish = () => problem('superseded')
	expect(await work()).toBeUndefined()
	expect(delivered).toBe(2)
})

test('an edge that says more than this version knows is understood as far as it is known', async () => {
	answers.start = () => ({ status: 200, body: { ...granted(request).body, colour: 'red' } })
	answers.progress = () => ({ status: 200, body: { watched: false, colour: 'red' } })
	answers.upload = () => ({ status: 200, body: { ...(usual('upload').body as object), colour: 'red' } })
	await work()
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test.each([
	['a field', { colour: 'red' }],
	['a sampler', { sampler: 'leaps' }]
])('a request with %s that this version does not know is handed back, and not drawn without', async (_, unknown) => {
	answers.start = () => ({ status: 200, body: { ...granted(request).body, request: { ...request, ...unknown } } })
	expect(await work()).toBe('RequestUnknown')
	expect(told.map(({ call }) => call)).toEqual(['start', 'yield'])
})

test("a request with a field or a task that this node's catalog does not have of the model is handed back, and not drawn without", async () => {
	const scene = { ...request, model: 'scenes', width: 64, height: 64 }
	const input = 'upl_00000000000000000000000000'
	const others: ResolvedRequest[] = [
		{ ...scene, control_image: input },
		{ ...scene, task: 'image-to-image', image: input, strength: 0.5, image_guidance: 2 },
		{ ...scene, task: 'class-conditional', class_label: 1 }
	]
	answers.start = (nth) => granted(others[nth - 1]!)
	expect(await Promise.all(others.map(() => work()))).toEqual(others.map(() => 'RequestUnknown'))
	expect(told.map(({ call }) => call).sort()).toEqual(['start', 'start', 'start', 'yield', 'yield', 'yield'])
})

test('what is delivered already is not drawn again', async () => {
	answers.start = () => granted(request, { delivered: [0] })
	await work()
	expect(bodies('image')).toMatchObject([{ n: 1, seed: 6 }])
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test.each(['superseded', 'ended'])('work that is %s at the start is not begun', async (code) => {
	answers.start = () => problem(code)
	await work()
	expect(told.map(({ call }) => call)).toEqual(['start'])
})

test('work that is superseded on the way is dropped, and the engine is free again', async () => {
	answers.start = () => granted(endless)
	answers.progress = (nth, { done, total }) => {
		expect(total).toBe(1800)
		expect(done).toBeLessThan(total)
		return nth === 2 ? problem('superseded') : undefined
	}
	await work()
	expect(bodies('finish')).toEqual([])
	expect((await engine.develop(request)).pictures).toHaveLength(2)
})

test('bytes that are in place already are as good as put', async () => {
	answers.object = () => ({ status: 412 })
	await work()
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('a place whose signature is refused is asked for again, for as long as keys are turned', async () => {
	answers.start = () => granted({ ...request, count: 1 })
	answers.object = (nth) => (nth <= 3 ? { status: 403 } : undefined)
	await work()
	expect(bodies('upload')).toHaveLength(4)
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('while storage takes no signature, work whose deadline passes is dropped', async () => {
	answers.start = () => granted({ ...request, count: 1 })
	answers.object = () => ({ status: 403 })
	answers.progress = (nth) => (nth === 6 ? problem('ended') : undefined)
	await work()
	expect(bytes('object').length).toBeGreaterThan(0)
	expect(bodies('image')).toEqual([])
	expect(bodies('finish')).toEqual([])
})

test.each([
	['does not take pictures', 'object'],
	['does not show them', 'image'],
	['does not hand out inputs', 'stored']
])('storage that %s for longer than a lease costs no attempt', async (_, call) => {
	stored = await sharp({ create: { width: 16, height: 16, channels: 3, background: 'red' } })
		.png()
		.toBuffer()
	const { body } = granted(request, { lease: 300 })
	answers.start = () => ({ status: 200, body: { ...body, inputs: { image: `${origin}/stored` } } })
	const down = performance.now() + 2_000
	answers[call] = () => (performance.now() < down ? { status: 503 } : undefined)
	await work()
	expect(performance.now()).toBeGreaterThan(down)
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
	expect(put()).toEqual(expect.arrayContaining(bodies('image').map(({ md5 }) => md5)))
	expect(bodies('progress')[0]).toEqual({ done: expect.any(Number), total: 8 })
})

test('while storage is down, work that someone else has got is dropped', async () => {
	answers.start = () => granted(request, { lease: 300 })
	answers.object = () => ({ status: 503 })
	answers.progress = (nth) => (nth === 4 ? problem('superseded') : undefined)
	await work()
	expect(bodies('image')).toEqual([])
	expect(bodies('finish')).toEqual([])
})

test('an input whose URL was signed with an older key is asked for under a new one', async () => {
	stored = await sharp({ create: { width: 16, height: 16, channels: 3, background: 'red' } })
		.png()
		.toBuffer()
	const { body } = granted(request)
	const image = (nth: number) => `${origin}/${nth === 1 ? 'older' : 'stored'}`
	answers.start = (nth) => ({ status: 200, body: { ...body, inputs: { image: image(nth) } } })
	answers.older = () => ({ status: 403 })
	await work()
	const [first, second, ...more] = bodies('start')
	expect([second, more]).toEqual([first, []])
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('a checkpoint whose URL was signed with an older key is asked for under a new one', async () => {
	stored = Buffer.from('{}')
	answers.start = (nth) => granted(request, { checkpoint: `${origin}/${nth === 1 ? 'older' : 'stored'}` })
	answers.older = () => ({ status: 403 })
	await work()
	expect(bodies('stored')).toHaveLength(1)
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('a checkpoint that cannot be read at once is asked for again', async () => {
	stored = Buffer.from('{}')
	answers.start = () => granted(request, { checkpoint: `${origin}/stored` })
	answers.stored = (nth) => (nth === 1 ? { status: 503 } : undefined)
	await work()
	expect(bodies('stored')).toHaveLength(2)
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('a checkpoint is waited for while storage is down for longer than a lease', async () => {
	stored = Buffer.from('{}')
	answers.start = () => granted(request, { lease: 300, checkpoint: `${origin}/stored` })
	const down = performance.now() + 1_000
	let read = 0
	answers.stored = () => {
		if (performance.now() < down) {
			return { status: 503 }
		}
		read += 1
		return undefined
	}
	await work()
	expect(read).toBe(1)
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test.each([
	['is silent, is handed back with its rows: others may reach it', () => silence, 'StorageSilent'],
	['answers at times, is kept', (nth: number) => (nth % 3 === 0 ? { status: 503 } : silence), 'over']
])('work whose storage %s', async (_, answer, name) => {
	const stop = new AbortController()
	answers.start = () => granted({ ...request, count: 1 }, { lease: 300 })
	answers.object = (nth) => {
		if (nth === 20) {
			stop.abort(Object.assign(new Error(), { name: 'over' }))
		}
		return answer(nth)
	}
	await expect(work({ signal: stop.signal })).rejects.toMatchObject({ name })
	const handed = name === 'StorageSilent' ? ['checkpoint', 'yield'] : []
	expect(told.map(({ call }) => call).filter((call) => call === 'checkpoint' || call === 'yield')).toEqual(handed)
})

test('an object that is never seen fails the generation', async () => {
	answers.start = () => granted({ ...request, count: 1 })
	answers.image = () => problem('not-seen')
	await work()
	expect(bodies('image')).toHaveLength(3)
	expect(bodies('finish')).toMatchObject([{ outcome: 'failed', detail: expect.stringContaining('not-seen') }])
})

test('an object that is not seen at once is uploaded again, and not in the same moment', async () => {
	answers.start = () => granted({ ...request, count: 1 })
	let from: number | undefined
	answers.image = () => {
		from ??= Date.now()
		return Date.now() - from < 900 ? problem('not-seen') : undefined
	}
	await work()
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('infinity fails the generation, by name', async () => {
	answers.start = () => granted({ ...request, guidance: 1e300 })
	await work()
	expect(bodies('finish')).toMatchObject([{ outcome: 'failed', detail: expect.stringContaining('got NaN or infinity') }])
})

test.each([
	['is no picture', { status: 200, body: 'no picture' }],
	['is gone', gone],
	['is too large', { status: 200, body: 'x'.repeat(11 * 1024 * 1024) }]
])('an input that %s fails the generation, and its client is told which', async (_, answer) => {
	const { body } = granted(request)
	answers.start = () => ({ status: 200, body: { ...body, inputs: { image: `${origin}/input` } } })
	answers.input = () => answer
	await work()
	expect(bodies('finish')).toMatchObject([{ outcome: 'failed', detail: expect.stringMatching(/^image: expected a whole PNG/) }])
	expect(bodies('upload')).toEqual([])
})

test('pictures are delivered in the format that was asked for', async () => {
	answers.start = () => granted({ ...request, output_format: 'webp', output_quality: 80 })
	await work()
	expect(bodies('image')).toMatchObject([{ content_type: 'image/webp' }, { content_type: 'image/webp' }])
})

test('an engine that crashed twice is asked again', async () => {
	await work({ engine: crashing(2) })
	expect(
		bodies('image')
			.map(({ n }) => n)
			.sort()
	).toEqual([0, 1])
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('an engine that crashes every time fails the generation', async () => {
	answers.start = () => granted(endless) // Or it could be done before it is killed.
	await work({ engine: crashing(3) })
	expect(bodies('finish')).toMatchObject([{ outcome: 'failed', detail: 'the engine ended unexpectedly (SIGKILL)' }])
})

/** The engine, killed as soon as it has begun to work, so many times. */
const crashing = (times: number): Engine =>
	acting(engine, {
		onProgress() {
			if (times-- > 0) {
				process.kill(engine.pid!, 'SIGKILL')
			}
		}
	})

test('without an answer for as long as the lease lasts it gives up, and says so', async () => {
	answers.start = () => granted(endless, { lease: 400 })
	answers.progress = () => ({ status: 503 })
	await expect(work()).rejects.toMatchObject({ name: 'EdgeUnreachable' })
	expect(bodies('finish')).toEqual([])
})

test('work that a halted engine gives up is handed back with its rows, and another node goes on from them', async () => {
	const other = await startEngine({ ...options, models: ['tiny'] })
	answers.start = () => granted(long)
	try {
		await work({ engine: acting(other, { onProgress: () => void other.halt() }) })
	} finally {
		await other.close()
	}
	expect(told.map(({ call }) => call).filter((call) => call !== 'progress')).toEqual(['start', 'checkpoint', 'yield'])
	const [rows] = bytes('checkpoint')

	told = []
	stored = rows!
	answers.start = () => granted(long, { checkpoint: `${origin}/stored` })
	const done: number[] = []
	await work({ engine: acting(engine, { onProgress: (progress) => done.push(progress.done) }) })
	expect(done[0]).toBeGreaterThan(0)
	const resumed = put().sort()

	told = []
	answers.start = () => granted(long)
	await work()
	expect(put().sort()).toEqual(resumed)
})

test('work in progress leaves a checkpoint, and is not begun anew after a node that vanished', async () => {
	const vanished = new AbortController()
	answers.start = () => granted(endless)
	// On a loaded machine the first may be of rows that have not done any evaluation yet.
	answers.checkpoint = () => void (bodies('progress').some(({ done }) => done > 0) && vanished.abort(new Error('vanished')))
	await expect(work({ signal: vanished.signal })).rejects.toThrow('vanished')
	expect(bodies('progress').filter(({ previews }) => previews)).toEqual([]) // Nobody watched.
	stored = bytes('checkpoint').at(-1)!
	const resumed = new AbortController()
	const done: number[] = []
	answers.start = () => granted(endless, { checkpoint: `${origin}/stored` })
	const onProgress = (progress: { done: number }) => {
		done.push(progress.done)
		resumed.abort(new Error('resumed'))
	}
	await expect(work({ engine: acting(engine, { onProgress }), signal: resumed.signal })).rejects.toThrow('resumed')
	expect(done[0]).toBeGreaterThan(0)
})

test('a partial image that a halted engine still gives is told before the work is handed back', async () => {
	const other = await startEngine({ ...options, models: ['tiny'] })
	answers.start = () => granted({ ...long, count: 1, partial_images: 1 })
	try {
		await work({ engine: acting(other, { onPartial: () => void other.halt() }) })
	} finally {
		await other.close()
	}
	const partial = told.findIndex(({ body }) => body.partial_image)
	expect(partial).toBeGreaterThan(0)
	expect(told.findIndex(({ call }) => call === 'yield')).toBeGreaterThan(partial)
})

test('a model that this node cannot load is no verdict, and no attempt: another node may have it, or this one when it is mended', async () => {
	const modelsDir = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await cp(path.join(options.modelsDir, 'tiny'), path.join(modelsDir, 'tiny'), { recursive: true })
	await truncate(path.join(modelsDir, 'tiny/unet/model.onnx'), 1_000)
	const other = await startEngine({ ...options, modelsDir, models: ['tiny'], loaded: [] })
	try {
		await expect(work({ engine: other })).rejects.toMatchObject({ name: 'ModelNotLoaded' })
	} finally {
		await other.close()
		await rm(modelsDir, { recursive: true })
	}
	expect([bodies('finish'), bodies('yield')]).toEqual([[], [{}]])
})

test('a model that turns out to be wrong as it draws is no verdict either, and where it lies on the node is told nobody', async () => {
	const wrong = new EngineError({ name: 'ModelError', message: '/models/tiny/unet: expected another graph' })
	await expect(work({ engine: { ...engine, develop: () => Promise.reject(wrong) } })).rejects.toBe(wrong)
	expect(bodies('finish')).toEqual([])
})

test('a checkpoint of a node that has the model with another scheduler is done without', async () => {
	const modelsDir = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await cp(path.join(options.modelsDir, 'tiny'), path.join(modelsDir, 'tiny'), { recursive: true })
	const file = path.join(modelsDir, 'tiny/scheduler/scheduler_config.json')
	const config = JSON.parse(await readFile(file, 'utf8'))
	await writeFile(file, JSON.stringify({ ...config, _class_name: 'PNDMScheduler', skip_prk_steps: true }))
	const other = await startEngine({ ...options, modelsDir, models: ['tiny'] })
	const shown = { ...long, partial_images: 1 }
	answers.start = () => granted(shown)
	try {
		await work({ engine: acting(other, { onPartial: () => void other.halt() }) })
	} finally {
		await other.close()
		await rm(modelsDir, { recursive: true })
	}
	const [rows] = bytes('checkpoint')
	stored = rows!
	for (const checkpoint of [undefined, `${origin}/stored`]) {
		answers.start = () => granted(shown, { checkpoint })
		await work()
	}
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }, { outcome: 'succeeded' }])
	expect(new Set(put()).size).toBe(2)
})

test.each([
	['cannot be read', {}],
	['is none', { checkpoint: 'stored' }]
])('a checkpoint that %s is done without', async (_, { checkpoint = 'nowhere' }: { checkpoint?: string }) => {
	stored = Buffer.from('{}')
	answers.nowhere = () => gone
	answers.start = () => granted(request, { checkpoint: `${origin}/${checkpoint}` })
	await work()
	expect(bodies('image')).toHaveLength(2)
	expect(bodies('finish')).toMatchObject([{ outcome: 'succeeded' }])
})

test('previews are sent while someone watches', async () => {
	const stop = new AbortController()
	answers.start = () => granted(endless)
	answers.progress = (_, { previews }) => {
		if (previews) {
			stop.abort(new Error('seen'))
		}
		return { status: 200, body: { watched: true } }
	}
	await expect(work({ signal: stop.signal })).rejects.toThrow('seen')
	const { previews } = bodies('progress').at(-1)!
	expect(previews![0]).toMatchObject({
		n: 0,
		step: expect.any(Number),
		content_type: 'image/webp',
		data: expect.stringMatching(/^UklGR/)
	})
	expect(bodies('progress')[0]!.previews).toBeUndefined()
})

test('as many partial images as asked for are told, decoded in full and each before its picture, though nobody watches', async () => {
	answers.start = () => granted({ ...request, steps: 8, partial_images: 3 })
	await work()
	const partials = bodies('progress').flatMap(({ partial_image }) => (partial_image ? [partial_image] : []))
	for (const n of [0, 1]) {
		const own = partials.filter((partial) => partial.n === n)
		expect(own.map(({ index, step }) => [index, step])).toEqual([
			[0, 2],
			[1, 4],
			[2, 6]
		])
		const delivered = told.findIndex(({ call, body }) => call === 'upload' && body.n === n)
		expect(told.findLastIndex(({ body }) => body.partial_image?.n === n)).toBeLessThan(delivered)
	}
	const { width, height } = await sharp(Buffer.from(partials[0]!.data, 'base64')).metadata()
	expect([width, height]).toEqual([16, 16])
	const withPartials = put().sort()

	told = []
	answers.start = () => granted({ ...request, steps: 8 })
	await work()
	expect(put().sort()).toEqual(withPartials)
})

test('of few steps, each but the last has one partial image', async () => {
	answers.start = () => granted({ ...request, steps: 3, count: 1, partial_images: 3 })
	await work()
	const partials = bodies('progress').flatMap(({ partial_image }) => (partial_image ? [partial_image] : []))
	expect(partials.map(({ index, step }) => [index, step])).toEqual([
		[0, 1],
		[1, 2]
	])
})

/** The engine, whose progress and partial images are heard by others too. */
const acting = (other: Engine, { onProgress, onPartial }: Pick<DevelopOptions, 'onProgress' | 'onPartial'>): Engine => ({
	...other,
	develop: (request, options) =>
		other.develop(request, {
			...options,
			onProgress(progress) {
				options?.onProgress?.(progress)
				onProgress?.(progress)
			},
			onPartial(partial) {
				options?.onPartial?.(partial)
				onPartial?.(partial)
			}
		})
})

test('a stopped node abandons the work without a word', async () => {
	const stop = new AbortController()
	answers.start = () => granted(endless)
	answers.progress = () => {
		stop.abort(new Error('stopped'))
		return undefined
	}
	await expect(work({ signal: stop.signal })).rejects.toThrow('stopped')
	expect(bodies('finish')).toEqual([])
})

async function read(request: IncomingMessage): Promise<Buffer> {
	const chunks: Buffer[] = []
	for await (const chunk of request) {
		chunks.push(chunk)
	}
	return Buffer.concat(chunks)
}
