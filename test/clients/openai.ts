import assert from 'node:assert/strict'
import OpenAI, { AzureOpenAI, toFile } from 'openai'
import sharp from 'sharp'
import type { Client } from './client.ts'
import { drawing, expectPng, listening, long, mailbox, occupy, short } from './client.ts'
import type { ClientStack } from './stack.ts'

const open = async (stack: ClientStack, apiKey?: string) =>
	new OpenAI({ baseURL: `${stack.url}/openai/v1`, apiKey: apiKey ?? (await stack.key()) })
/** Fields of ours beside OpenAI's, as `extra_body` or a spread passes them. */
const withOurs = (fields: object): object => fields

export const openai: Client = {
	name: 'openai (npm)',
	calls: {
		async 'a picture by URL'(stack) {
			const client = await open(stack)
			const { data, created } = await client.images.generate({
				model: 'scenes',
				prompt: 'a red sphere',
				size: '128x128',
				...withOurs(short)
			})
			const [picture] = data!
			assert.partialDeepStrictEqual(picture, { width: 128, height: 128 })
			assert.ok(created > 1e9)
			expectPng(await (await fetch(picture!.url!)).arrayBuffer())
		},
		async 'as from Azure'(stack) {
			const client = new AzureOpenAI({ endpoint: stack.url, apiKey: await stack.key(), apiVersion: '2024-10-21' })
			const image = await toFile(await drawing(), 'image.png', { type: 'image/png' })
			for (const { data } of [
				await client.images.generate({ model: 'scenes', prompt: 'a red sphere', ...withOurs(short) }),
				await client.images.edit({ model: 'scenes', prompt: 'a red sphere', image, ...withOurs(short) })
			]) {
				expectPng(Buffer.from(data![0]!.b64_json!, 'base64'))
			}
			assert.ok((await client.models.list()).data.some(({ id }) => id === 'scenes'))
		},
		async 'a picture as bytes'(stack) {
			const client = await open(stack)
			// OpenAI's own names mean the first model of the catalog, and answer as they do at OpenAI.
			const body = {
				model: 'gpt-image-1',
				prompt: 'a red sphere',
				size: 'auto',
				quality: 'low',
				background: null,
				n: null
			} as const
			const { data } = await client.images.generate(body)
			expectPng(Buffer.from(data![0]!.b64_json!, 'base64'))
		},
		async 'several pictures, seeded'(stack) {
			const client = await open(stack)
			const body = {
				model: 'scenes',
				prompt: 'a blue cube',
				n: 2,
				response_format: 'b64_json',
				...withOurs({ seed: 7, steps: 4 })
			} as const
			const [first, again] = await Promise.all([client.images.generate(body), client.images.generate(body)])
			assert.equal(first.data!.length, 2)
			assert.deepEqual(first.data, again.data)
		},
		async 'as it develops (stream)'(stack) {
			const client = await open(stack)
			const events = await client.images.generate({
				model: 'scenes',
				prompt: 'a green cone',
				stream: true,
				partial_images: 2,
				...withOurs({ steps: 8, width: 96, height: 128 })
			})
			const types: string[] = []
			for await (const event of events) {
				types.push(event.type)
				const bytes = Buffer.from(event.b64_json, 'base64')
				if (event.type === 'image_generation.completed') {
					expectPng(bytes)
				} else {
					// Decoded in full: a preview from the latent is enlarged to 256 pixels.
					const { width, height, format } = await sharp(bytes).metadata()
					assert.deepEqual([event.partial_image_index, width, height, format], [types.length - 1, 96, 128, 'webp'])
				}
			}
			assert.deepEqual(types, ['image_generation.partial_image', 'image_generation.partial_image', 'image_generation.completed'])
		},
		async 'an image to start from, as a file'(stack) {
			const client = await open(stack)
			const image = await toFile(await drawing(), 'image.png', { type: 'image/png' })
			const mask = await toFile(await drawing({ holed: true }), 'mask.png', { type: 'image/png' })
			const varied = await client.images.createVariation({
				model: 'scenes',
				image,
				response_format: 'b64_json',
				...withOurs(short)
			})
			expectPng(Buffer.from(varied.data![0]!.b64_json!, 'base64'))
			const body = { model: 'scenes', image: [image], mask, prompt: 'a red sphere', n: 2, ...withOurs(short) }
			const edited = await client.images.edit({ ...body, response_format: 'b64_json' })
			assert.equal(edited.data!.length, 2)
			const again = await client.images.edit({ ...body, n: 1, stream: true })
			const types: string[] = []
			for await (const { type } of again) {
				types.push(type)
			}
			assert.deepEqual(types, ['image_edit.completed'])
		},
		async 'files: list, look at, remove'(stack) {
			const client = await open(stack)
			const bytes = await drawing()
			const { id } = await client.files.create({ file: await toFile(bytes, 'a blue half.png'), purpose: 'vision' })
			const { filename, bytes: size } = await client.files.retrieve(id)
			assert.deepEqual([filename, size], ['a blue half.png', bytes.length])
			assert.deepEqual(Buffer.from(await (await client.files.content(id)).arrayBuffer()), bytes)
			const edit = { model: 'scenes', prompt: 'a red sphere', images: [{ file_id: id }], steps: 4 }
			const { data } = await client.post<{ data: { url: string }[] }>('/images/edits', { body: edit })
			expectPng(await (await fetch(data[0]!.url)).arrayBuffer())
			const { id: later } = await client.files.create({ file: await toFile(bytes, 'b.png'), purpose: 'user_data' })
			const ids: string[] = []
			for await (const file of client.files.list({ limit: 1, purpose: 'vision' })) {
				ids.push(file.id)
			}
			assert.deepEqual(ids, [later, id])
			assert.ok((await client.files.delete(id)).deleted)
			await assert.rejects(client.files.retrieve(id), OpenAI.NotFoundError)
		},
		async 'a webhook, verified by the client'(stack) {
			const client = await open(stack)
			const { url, letter } = await mailbox()
			await client.images.generate({ model: 'scenes', prompt: 'a red sphere', ...withOurs({ webhook: url, steps: 2 }) })
			const { headers, body } = await letter
			const { secret } = await client.get<{ secret: string }>(`${stack.url}/v1/webhooks/secret`)
			const event = (await client.webhooks.unwrap(body, headers, secret)) as unknown as { type: string }
			assert.equal(event.type, 'generation.completed')
			await assert.rejects(client.webhooks.unwrap(`${body} `, headers, secret), OpenAI.InvalidWebhookSignatureError)
		},
		async models(stack) {
			const client = await open(stack)
			const { data } = await client.models.list()
			assert.ok(data.some(({ id }) => id === 'scenes'))
			assert.equal((await client.models.retrieve('scenes')).id, 'scenes')
			await assert.rejects(client.models.retrieve('nothing'), OpenAI.NotFoundError)
		},
		async 'what is wrong with a request'(stack) {
			const client = await open(stack)
			const refused = client.images.generate({ model: 'scenes', prompt: 'a red sphere', n: 99 })
			await assert.rejects(refused, (error) => {
				assert.ok(error instanceof OpenAI.BadRequestError)
				assert.equal(error.param, 'n')
				assert.equal(error.type, 'invalid_request_error')
				assert.match(error.message, /at most 8/)
				assert.match(error.requestID!, /^req_/)
				return true
			})
			await assert.rejects(client.moderations.create({ input: 'a red sphere' }), (error) => {
				assert.ok(error instanceof OpenAI.NotFoundError)
				assert.match(error.message, /is not served here/)
				return true
			})
			const lost = new OpenAI({ baseURL: `${stack.url}/v1`, apiKey: client.apiKey })
			await assert.rejects(lost.images.generate({ prompt: 'a red sphere' }), /take \/openai\/v1 here as their base URL/)
		},
		async 'too many requests'(stack) {
			const apiKey = await stack.key({ pictures_in_flight: long.count })
			const leave = await occupy(stack, apiKey)
			// There is room as soon as the client was refused, and it tries again by itself.
			const { fetch: listen, answers } = listening(async ({ status }) => {
				if (status === 429) {
					await leave()
				}
			})
			const client = new OpenAI({ baseURL: `${stack.url}/openai/v1`, apiKey, fetch: listen })
			const { data } = await client.images.generate({ model: 'scenes', prompt: 'a red sphere', ...withOurs(short) })
			assert.equal(data!.length, 1)
			assert.deepEqual(
				answers.map(({ status }) => status),
				[429, 200]
			)
		},
		async 'a wrong key'(stack) {
			const client = await open(stack, 'sk-nothing')
			await assert.rejects(client.images.generate({ prompt: 'a red sphere' }), OpenAI.AuthenticationError)
		}
	}
}
