import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AwsClient } from 'aws4fetch'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { decodePicture, type Judge, loadJudge } from '../eval/judge.ts'
import { redisServer, withRedis } from '../queues.ts'
import { type Stack, startStack } from '../stack.ts'

const wait = { prefer: 'wait=60' }

const scenes = [
	{ colour: 'red', shape: 'sphere' },
	{ colour: 'green', shape: 'sphere' },
	{ colour: 'blue', shape: 'cube' },
	{ colour: 'yellow', shape: 'cylinder' },
	{ colour: 'purple', shape: 'cone' },
	{ colour: 'cyan', shape: 'cube' }
]
const prompt = ({ colour, shape }: { colour: string; shape: string }) => `a large shiny ${colour} ${shape} on a grey floor`

async function download(generation: Generation, n = 0): Promise<Uint8Array> {
	const answer = await fetch(generation.images[n]!.url)
	expect(answer.status).toBe(200)
	expect(answer.headers.get('content-type')).toBe('image/png')
	return new Uint8Array(await answer.arrayBuffer())
}

describe('on the embedded PostgreSQL', () => {
	let stack: Stack
	let judge: Judge
	beforeAll(async () => {
		judge = await loadJudge()
		stack = await startStack({ env: { BATCH_LIMITS: 'measured' } })
	})
	afterAll(() => stack?.close())

	it('draws what the prompt says', async () => {
		const generations = await Promise.all(
			scenes.map((scene) => stack.submit({ model: 'scenes', prompt: prompt(scene), seed: 7 }, wait))
		)
		const pictures = await Promise.all(generations.map(async (generation) => decodePicture(await download(generation))))
		const seen = await judge(pictures)
		expect(seen.map(({ count, colour, shape, floor }) => ({ count, colour, shape, floor }))).toEqual(
			scenes.map((scene) => ({ count: 1, ...scene, floor: 'grey' }))
		)
	})

	it('answers with the whole request, so that it can be asked for again', async () => {
		const first = await stack.submit({ model: 'scenes', prompt: 'a small matte green cone', steps: 8 }, wait)
		expect(first).toMatchObject({
			status: 'succeeded',
			progress: null,
			error: null,
			request: { width: 128, height: 128, steps: 8, count: 1 }
		})
		expect(first.metrics!.inference_ms).toBeGreaterThan(0)
		const again = await stack.submit(first.request, wait)
		expect(again.id).not.toBe(first.id)
		expect(await download(again)).toEqual(await download(first))
	})

	it('draws picture i of a request with seed + i', async () => {
		const request = { model: 'scenes', prompt: 'a large matte blue cube', steps: 6, width: 96, height: 128 }
		const pair = await stack.submit({ ...request, seed: 2 ** 32 - 1, count: 2 }, wait)
		expect(pair.images.map(({ n, seed, width, height }) => ({ n, seed, width, height }))).toEqual([
			{ n: 0, seed: 2 ** 32 - 1, width: 96, height: 128 },
			{ n: 1, seed: 0, width: 96, height: 128 }
		])
		for (const { n, url } of pair.images) {
			const disposition = (await fetch(url)).headers.get('content-disposition')
			expect(disposition, 'shown, and kept under a name of its own').toBe(`inline; filename="${pair.id}-${n}.png"`)
		}
		const second = await stack.submit({ ...request, seed: 0 }, wait)
		expect(await download(second)).toEqual(await download(pair, 1))
	})

	it('hands out the id at once, and the generation when asked for it', async () => {
		const accepted = await stack.fetch('/v1/generations', {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify({ model: 'scenes', prompt: 'a red sphere' })
		})
		expect(accepted.status).toBe(202)
		const generation = (await accepted.json()) as Generation
		expect(accepted.headers.get('location')).toBe(`/v1/generations/${generation.id}`)
		expect(generation).toMatchObject({ status: 'queued', images: [] })
		expect(await stack.finished(generation.id)).toMatchObject({ status: 'succeeded' })
	})

	it('signs URLs that stop working when they are changed or expire', async () => {
		const { images } = await stack.submit({ model: 'scenes', prompt: 'a red sphere', steps: 2 }, wait)
		const { url, expires_at } = images[0]!
		expect(Date.parse(expires_at)).toBeGreaterThan(Date.now())
		const other = new URL(url)
		other.pathname = other.pathname.replace(/.$/, '9')
		expect((await fetch(other)).status).toBe(403)
		const longer = new URL(url)
		longer.searchParams.set('X-Amz-Expires', '604800')
		expect((await fetch(longer)).status).toBe(403)

		const secrets = JSON.parse(readFileSync(join(stack.dataDir, 'secrets.json'), 'utf8'))
		const storage = new AwsClient({
			accessKeyId: secrets.S3_ACCESS_KEY_ID,
			secretAccessKey: secrets.S3_SECRET_ACCESS_KEY,
			service: 's3',
			region: 'auto'
		})
		/** Signed a minute ago. */
		const signed = async (lives: number) => {
			const bare = new URL(url)
			bare.search = `?X-Amz-Expires=${lives}`
			const datetime = new Date(Date.now() - 60_000).toISOString().replace(/[:-]|\.\d+/g, '')
			return (await storage.sign(bare.href, { aws: { signQuery: true, datetime } })).url
		}
		expect((await fetch(await signed(600))).status).toBe(200)
		expect((await fetch(await signed(59))).status).toBe(403)
	})
})

// A PostgreSQL of the user's, and a Redis: test/faults/queue.test.ts.
it.skipIf(!withRedis)('draws where the queue is on Redis over TLS', async () => {
	const queue = await redisServer({ tls: true })
	onTestFinished(queue.remove)
	await queue.start()
	const stack = await startStack({ env: { QUEUE_URL: queue.url, NODE_EXTRA_CA_CERTS: queue.ca! } })
	onTestFinished(stack.close)
	const generation = await stack.submit({ model: 'scenes', prompt: 'a red sphere', steps: 2 }, wait)
	expect(await decodePicture(await download(generation))).toHaveLength(128 * 128 * 3)
})
