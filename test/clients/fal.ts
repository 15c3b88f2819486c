import assert from 'node:assert/strict'
import { createHash, createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { ApiError, createFalClient, type QueueStatus, ValidationError } from '@fal-ai/client'
import { type Client, drawing, expectPng, listening, long, mailbox, occupy, short, unserved } from './client.ts'
import type { ClientStack } from './stack.ts'

const open = async (stack: ClientStack, credentials?: string) =>
	createFalClient({
		proxyUrl: { url: `${stack.url}/fal/proxy`, when: 'always' },
		credentials: credentials ?? (await stack.key()),
		retry: { maxRetries: 0 }
	})
const app = 'darkroom/scenes'

interface Result {
	images: { url: string; width: number; height: number; content_type: string }[]
	seed: number
}

/** Says whether a letter is signed, as fal's documentation tells receivers to find out ("Webhooks: verification"). */
async function verifier(url: string): Promise<(headers: Headers, body: string) => boolean> {
	const { keys } = (await (await fetch(url)).json()) as { keys: JsonWebKey[] }
	return (headers, body) => {
		const of = (name: string) => headers.get(`x-fal-webhook-${name}`)!
		assert.ok(Math.abs(Date.now() / 1_000 - Number(of('timestamp'))) < 300)
		const digest = createHash('sha256').update(body).digest('hex')
		const message = Buffer.from([of('request-id'), of('user-id'), of('timestamp'), digest].join('\n'))
		const signature = Buffer.from(of('signature'), 'hex')
		return keys.some((key) => verify(null, message, createPublicKey({ key, format: 'jwk' }), signature))
	}
}

export const fal: Client = {
	name: '@fal-ai/client (npm)',
	calls: {
		async 'a picture by URL'(stack) {
			const client = await open(stack)
			const input = {
				prompt: 'a red sphere',
				image_size: { width: 96, height: 128 },
				num_inference_steps: 5,
				enable_safety_checker: true
			}
			const { data, requestId } = await client.run(app, { input })
			const { images } = data as Result
			assert.match(requestId, /^gen_/)
			assert.deepEqual([images[0]!.width, images[0]!.height, images[0]!.content_type], [96, 128, 'image/png'])
			expectPng(await (await fetch(images[0]!.url)).arrayBuffer())
		},
		async 'several pictures, seeded'(stack) {
			const client = await open(stack)
			const input = { prompt: 'a blue cube', num_images: 2, seed: 7, num_inference_steps: 4 }
			const draw = async () => {
				const { data } = await client.subscribe(app, { input, pollInterval: 50 })
				return Promise.all((data as Result).images.map(async ({ url }) => Buffer.from(await (await fetch(url)).arrayBuffer())))
			}
			const [first, again] = await Promise.all([draw(), draw()])
			assert.equal(first.length, 2)
			assert.deepEqual(first, again)
		},
		async 'as it develops (stream)'(stack) {
			const client = await open(stack)
			const input = { prompt: 'a green cone', num_inference_steps: 100 }
			const seen: QueueStatus[] = []
			const { data } = await client.subscribe(app, {
				input,
				mode: 'streaming',
				logs: true,
				onQueueUpdate: (status) => seen.push(status)
			})
			assert.equal((data as Result).images.length, 1)
			assert.equal(seen.at(-1)!.status, 'COMPLETED')
			assert.ok(seen.some((status) => status.status === 'IN_PROGRESS' && status.logs.length > 0))
		},
		async 'as it develops (stream, in one call)'(stack) {
			const client = await open(stack)
			const input = { prompt: 'a green cone', num_inference_steps: 8, partial_images: 2 }
			const seen: Result[] = []
			const stream = await client.stream(app, { input })
			for await (const event of stream) {
				seen.push(event as Result)
			}
			const urls = seen.map(({ images }) => images[0]!.url.slice(0, 16))
			assert.deepEqual(urls.slice(0, 2), Array(2).fill('data:image/webp;'))
			const { images } = (await stream.done()) as Result
			expectPng(await (await fetch(images[0]!.url)).arrayBuffer())
			assert.ok(seen.length >= 3)
		},
		async 'an image to start from, as a file'(stack) {
			const client = await open(stack)
			const bytes = await drawing()
			const file = new Blob([bytes], { type: 'image/png' })
			const url = await client.storage.upload(file)
			assert.deepEqual(Buffer.from(await (await fetch(url)).arrayBuffer()), bytes)
			// Files among the input are uploaded first.
			const input = { prompt: 'a red sphere', image_url: url, mask_url: new Blob([await drawing({ holed: true })]), ...short }
			const { data } = await client.subscribe(`${app}/inpainting`, { input, pollInterval: 50 })
			const [image] = (data as Result).images
			assert.deepEqual([image!.width, image!.height], [128, 128])
			expectPng(await (await fetch(image!.url)).arrayBuffer())
			await assert.rejects(
				client.storage.upload(new Blob(['no picture'])),
				(error) => error instanceof ApiError && error.status === 422
			)
		},
		async 'polling from the start'(stack) {
			const client = await open(stack)
			const { request_id: requestId, status } = await client.queue.submit(app, { input: { prompt: 'a red sphere', ...short } })
			assert.equal(status, 'IN_QUEUE')
			await client.queue.subscribeToStatus(app, { requestId, pollInterval: 50 })
			const { data } = await client.queue.result(app, { requestId })
			assert.equal((data as Result).images.length, 1)
		},
		async 'a webhook'(stack) {
			const client = await open(stack)
			const post = async (input: object) => {
				const { url: webhookUrl, letter } = await mailbox()
				const { request_id } = await client.queue.submit(app, { input: { prompt: 'a red sphere', ...input }, webhookUrl })
				return { requestId: request_id, letter }
			}
			const { requestId, letter } = await post({ seed: 7, num_inference_steps: 2 })
			const { headers, body } = await letter
			const signed = await verifier(`${stack.url}/fal/.well-known/jwks.json`)
			assert.deepEqual([signed(headers, body), signed(headers, `${body} `)], [true, false])
			const { payload, ...rest } = JSON.parse(body)
			assert.deepEqual(rest, { request_id: requestId, gateway_request_id: requestId, status: 'OK' })
			const { data } = await client.queue.result(app, { requestId })
			// URLs are signed anew each time they are told.
			const unsigned = (result: Result) => ({
				...result,
				images: result.images.map((image) => ({ ...image, url: new URL(image.url).pathname }))
			})
			assert.deepEqual(unsigned(payload), unsigned(data as Result))

			const canceled = await post(long)
			await client.queue.cancel(app, { requestId: canceled.requestId })
			const told = JSON.parse((await canceled.letter).body)
			assert.deepEqual([told.request_id, told.status], [canceled.requestId, 'ERROR'])
			assert.match(told.error, /cancel/i)
			assert.equal(told.payload.detail, told.error)
		},
		async 'cancel while it runs'(stack) {
			const client = await open(stack)
			const { request_id: requestId } = await client.queue.submit(app, { input: { prompt: 'a red sphere', ...long } })
			while ((await client.queue.status(app, { requestId })).status === 'IN_QUEUE') {}
			await client.queue.cancel(app, { requestId })
			assert.equal((await client.queue.status(app, { requestId })).status, 'COMPLETED')
			await assert.rejects(client.queue.result(app, { requestId }), (error) => error instanceof ApiError && error.status === 499)
			await assert.rejects(client.queue.cancel(app, { requestId }), (error) => error instanceof ApiError && error.status === 400)
		},
		async 'what nobody starts in time'(stack) {
			const client = await open(stack)
			const late = client.subscribe(`darkroom/${unserved}`, { input: {}, startTimeout: 1.1, pollInterval: 50 })
			await assert.rejects(late, (error) => error instanceof ApiError && error.isUserTimeout)
			const { data } = await client.subscribe(app, {
				input: { prompt: 'a red sphere', ...short },
				startTimeout: 60,
				pollInterval: 50
			})
			assert.equal((data as Result).images.length, 1)
		},
		async 'what is wrong with a request'(stack) {
			const client = await open(stack)
			await assert.rejects(client.run(app, { input: { prompt: 'a red sphere', num_images: 99 } }), (error) => {
				assert.ok(error instanceof ValidationError)
				assert.match(error.getFieldErrors('num_images')[0]!.msg, /at most 8/)
				return true
			})
			const isMissing = (error: unknown) => error instanceof ApiError && error.status === 404
			await assert.rejects(client.subscribe('some/thing', { input: { prompt: 'a red sphere' } }), isMissing)
			await assert.rejects(client.queue.status(app, { requestId: 'nothing' }), isMissing)
		},
		async 'too many requests'(stack) {
			const credentials = await stack.key({ pictures_in_flight: long.count })
			const leave = await occupy(stack, credentials)
			const { fetch: listen, answers } = listening(async ({ status }) => {
				if (status === 429) {
					await leave()
				}
			})
			const client = createFalClient({
				proxyUrl: { url: `${stack.url}/fal/proxy`, when: 'always' },
				credentials,
				fetch: listen,
				retry: { baseDelay: 100 }
			})
			const { data } = await client.run(app, { input: { prompt: 'a red sphere', ...short } })
			assert.equal((data as Result).images.length, 1)
			assert.deepEqual(
				answers.map(({ status }) => status),
				[429, 200]
			)
		},
		async 'a wrong key'(stack) {
			const client = await open(stack, 'nothing')
			const refused = client.run(app, { input: { prompt: 'a red sphere' } })
			await assert.rejects(refused, (error) => error instanceof ApiError && error.status === 401)
		}
	}
}
