import assert from 'node:assert/strict'
import { createFal } from '@ai-sdk/fal'
import { createOpenAI } from '@ai-sdk/openai'
import { createReplicate } from '@ai-sdk/replicate'
import { APICallError, generateImage } from 'ai'
import { type Client, drawing, expectPng, listening, long, occupy, short } from './client.ts'
import type { ClientStack } from './stack.ts'

/** Vercel's AI SDK has a provider for each of the three APIs: what is done is done with all of them, so far as they can. */
const open = async (stack: ClientStack, apiKey?: string, listen: typeof fetch = fetch) => {
	const key = apiKey ?? (await stack.key())
	return {
		openai: createOpenAI({ baseURL: `${stack.url}/openai/v1`, apiKey: key, fetch: listen }).image('scenes'),
		replicate: createReplicate({ baseURL: `${stack.url}/replicate/v1`, apiToken: key, fetch: listen }).image('darkroom/scenes'),
		fal: createFal({ baseURL: `${stack.url}/fal/run`, apiKey: key, fetch: listen }).image('darkroom/scenes')
	}
}
type Models = Awaited<ReturnType<typeof open>>
type Prompt = Parameters<typeof generateImage>[0]['prompt']

const each = async (models: Models, tryWith: (model: Models[keyof Models]) => Promise<void>) => {
	for (const model of Object.values(models)) {
		await tryWith(model)
	}
}

/** What two of the three can be told beside; OpenAI's provider passes nothing on that OpenAI does not know. */
const providerOptions = { replicate: short, fal: short }

/** Rejects with what the API said, as the SDK's own error. */
const isRefused = (status: number[], message: RegExp) => (error: unknown) => {
	assert.ok(APICallError.isInstance(error), String(error))
	assert.ok(status.includes(error.statusCode ?? 0), `${error.statusCode}`)
	assert.match(error.message, message)
	return true
}

export const aiSdk: Client = {
	name: 'AI SDK (npm)',
	calls: {
		async 'a picture as bytes'(stack) {
			await each(await open(stack), async (model) => {
				const { image, warnings } = await generateImage({ model, prompt: 'a red sphere', size: '128x96', providerOptions })
				assert.equal(image.mediaType, 'image/png')
				expectPng(image.uint8Array)
				assert.deepEqual(warnings, [])
			})
		},
		async 'several pictures, seeded'(stack) {
			const { openai, ...seeded } = await open(stack)
			assert.equal((await generateImage({ model: openai, prompt: 'a blue cube', n: 3, size: '96x96' })).images.length, 3)
			// Of the others it asks for one picture in each call.
			for (const model of Object.values(seeded)) {
				const { images } = await generateImage({ model, prompt: 'a blue cube', n: 2, seed: 7, providerOptions })
				assert.deepEqual(images[0]!.uint8Array, images[1]!.uint8Array)
			}
		},
		async 'waiting times out, then polling'(stack) {
			const { replicate: model } = await open(stack)
			const { steps, count: num_outputs } = long
			const replicate = { num_outputs, steps, maxWaitTimeInSeconds: 1, pollIntervalMillis: 250 }
			const { images } = await generateImage({ model, prompt: 'a red sphere', providerOptions: { replicate } })
			assert.equal(images.length, num_outputs)
		},
		async 'an image to start from, as a file'(stack) {
			const prompt: Prompt = { text: 'a red sphere', images: [await drawing()], mask: await drawing({ holed: true }) }
			await each(await open(stack), async (model) =>
				expectPng((await generateImage({ model, prompt, providerOptions })).image.uint8Array)
			)
		},
		async 'what is wrong with a request'(stack) {
			await each(await open(stack), async (model) => {
				const refused = generateImage({ model, prompt: 'a red sphere', size: '1000x1000' })
				await assert.rejects(refused, isRefused([400, 422], /width.*expected a multiple of 32, got 1000/i))
			})
		},
		async 'too many requests'(stack) {
			const key = await stack.key({ pictures_in_flight: long.count })
			const leave = await occupy(stack, key)
			// There is room as soon as it was refused, and it tries again by itself.
			const { fetch: listen, answers } = listening(async ({ status }) => {
				if (status === 429) {
					await leave()
				}
			})
			const { openai: model } = await open(stack, key, listen)
			expectPng((await generateImage({ model, prompt: 'a red sphere', size: '96x96' })).image.uint8Array)
			assert.deepEqual(
				answers.map(({ status }) => status),
				[429, 200]
			)
		},
		async 'a wrong key'(stack) {
			await each(await open(stack, 'nothing'), async (model) => {
				await assert.rejects(generateImage({ model, prompt: 'a red sphere' }), isRefused([401], /key/))
			})
		}
	}
}
