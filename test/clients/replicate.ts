import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import Replicate, { type FileOutput, parseProgressFromLogs, validateWebhook } from 'replicate'
import { type Client, drawing, expectPng, listening, long, mailbox, short } from './client.ts'
import type { ClientStack } from './stack.ts'

const open = async (stack: ClientStack, auth?: string) =>
	new Replicate({ baseUrl: `${stack.url}/replicate/v1`, auth: auth ?? (await stack.key()) })
const model = 'darkroom/scenes'

export const replicate: Client = {
	name: 'replicate (npm)',
	calls: {
		async 'a picture by URL'(stack) {
			const client = await open(stack)
			const { latest_version } = await client.models.get('darkroom', 'scenes')
			const prediction = await client.predictions.create({
				version: latest_version!.id,
				input: { prompt: 'a red sphere', num_inference_steps: 5, scheduler: 'K_EULER' },
				wait: 60
			})
			assert.equal(prediction.status, 'succeeded')
			const { input } = prediction as { input: Record<string, unknown> }
			assert.deepEqual([input.num_inference_steps, input.scheduler], [5, 'euler'])
			expectPng(await (await fetch(prediction.output[0])).arrayBuffer())
		},
		async 'a picture as bytes'(stack) {
			const [output] = (await (await open(stack)).run(model, { input: { prompt: 'a red sphere' } })) as FileOutput[]
			expectPng(await (await output!.blob()).arrayBuffer())
		},
		async 'several pictures, seeded'(stack) {
			const client = await open(stack)
			const input = { prompt: 'a blue cube', num_outputs: 2, seed: 7, num_inference_steps: 4 }
			const draw = async () => {
				const outputs = (await client.run(model, { input })) as FileOutput[]
				return Promise.all(outputs.map(async (output) => Buffer.from(await (await output.blob()).arrayBuffer())))
			}
			const [first, again] = await Promise.all([draw(), draw()])
			assert.equal(first.length, 2)
			assert.deepEqual(first, again)
		},
		async 'as it develops (stream)'(stack) {
			const client = await open(stack)
			const seen: { event: string; data: string }[] = []
			const input = { prompt: 'a green cone', num_inference_steps: 8 }
			for await (const { event, data } of client.stream(model, { input })) {
				seen.push({ event, data })
			}
			// Others, which this client takes, are refused by replicate-go.
			assert.deepEqual(
				seen.map(({ event }) => event),
				['output', 'done']
			)
			expectPng(await (await fetch(seen[0]!.data)).arrayBuffer())
		},
		async 'waiting times out, then polling'(stack) {
			const client = await open(stack)
			const progress: (number | undefined)[] = []
			// replicate-javascript takes a created prediction that is not `starting` for a finished one.
			const outputs = (await client.run(
				model,
				{ input: { prompt: 'a red sphere', ...long }, wait: { mode: 'block', timeout: 1 } },
				(prediction) => {
					assert.ok(progress.length > 0 || prediction.status === 'starting')
					progress.push(parseProgressFromLogs(prediction)?.percentage)
				}
			)) as FileOutput[]
			assert.equal(outputs.length, long.count)
			assert.ok(progress.some((part) => part !== undefined && part > 0 && part < 1))
		},
		async 'polling from the start'(stack) {
			const client = await open(stack)
			const created = await client.predictions.create({ model, input: { prompt: 'a red sphere', ...short } })
			assert.equal(created.status, 'starting')
			const { status, output, urls, logs } = await client.wait(created, { interval: 100 })
			assert.equal(status, 'succeeded')
			assert.equal(output.length, 1)
			assert.ok(urls.get.startsWith(stack.url))
			assert.equal(parseProgressFromLogs(logs!)?.percentage, 1)
		},
		async 'an image to start from, as a file'(stack) {
			const client = await open(stack)
			const input = { prompt: 'a red sphere', image: await drawing(), mask: new Blob([await drawing({ holed: true })]), steps: 4 }
			const [output] = (await client.run(model, { input })) as FileOutput[]
			expectPng(await (await output!.blob()).arrayBuffer())
		},
		async 'files: list, look at, remove'(stack) {
			const client = await open(stack)
			const made = await client.files.create(await drawing(), { seen: 'from above' })
			assert.deepEqual(made.metadata, { seen: 'from above' })
			assert.deepEqual(await client.files.get(made.id), made)
			const { results } = (await client.files.list()) as unknown as { results: { id: string }[] }
			assert.deepEqual(results, [made])
			const input = { prompt: 'a red sphere', image: made.urls.get, ...long }
			const { id } = await client.predictions.create({ model, input })
			// It is still needed.
			await assert.rejects(client.files.delete(made.id), /409/)
			await client.predictions.cancel(id)
			assert.ok(await client.files.delete(made.id))
			await assert.rejects(client.files.get(made.id), /404/)
		},
		async 'a webhook, verified by the client'(stack) {
			const client = await open(stack)
			const { url: webhook, letter } = await mailbox()
			const input = { prompt: 'a red sphere', steps: 2 }
			const { id } = await client.predictions.create({ model, input, webhook, webhook_events_filter: ['completed'] })
			const { headers, body } = await letter
			const prediction = JSON.parse(body)
			assert.deepEqual([prediction.id, prediction.status, prediction.output.length], [id, 'succeeded', 1])
			const { key } = await client.webhooks.default.secret.get()
			const signed = (text: string) => {
				const of = (name: string) => headers.get(`webhook-${name}`)!
				return validateWebhook({ id: of('id'), timestamp: of('timestamp'), signature: of('signature'), body: text, secret: key })
			}
			assert.deepEqual([await signed(body), await signed(`${body} `)], [true, false])
		},
		async 'cancel while it runs'(stack) {
			const client = await open(stack)
			const { id } = await client.predictions.create({ model, input: { prompt: 'a red sphere', ...long } })
			while ((await client.predictions.get(id)).status === 'starting') {
				await sleep(50)
			}
			assert.equal((await client.predictions.cancel(id)).status, 'canceled')
			assert.equal((await client.wait({ id } as never, {})).status, 'canceled')
		},
		async list(stack) {
			const client = await open(stack)
			const made = await client.predictions.create({ model, input: { prompt: 'a red sphere', steps: 1 }, wait: 60 })
			for await (const predictions of client.paginate(client.predictions.list)) {
				assert.deepEqual(
					predictions.map(({ id }) => id),
					[made.id]
				)
			}
		},
		async models(stack) {
			const client = await open(stack)
			const { results } = await client.models.list()
			assert.ok(results.some(({ owner, name }) => `${owner}/${name}` === model))
			assert.ok((await client.models.search('still lifes')).results.length > 0)
			const deployed = { input: { prompt: 'a red sphere', steps: 1 }, wait: 60 }
			assert.equal((await client.deployments.predictions.create('darkroom', 'scenes', deployed)).status, 'succeeded')
			const { results: deployments } = await client.deployments.list()
			assert.deepEqual(deployments[0], await client.deployments.get('darkroom', 'scenes'))
			const versions = await client.models.versions.list('darkroom', 'scenes')
			assert.match((versions as unknown as { results: { id: string }[] }).results[0]!.id, /^[0-9a-f]{64}$/)
		},
		async account(stack) {
			assert.match((await (await open(stack)).accounts.current()).username, /^client-/)
		},
		async 'what is wrong with a request'(stack) {
			const client = await open(stack)
			const refused = client.predictions.create({ model, input: { prompt: 'a red sphere', num_outputs: 99 } })
			await assert.rejects(refused, /422 .*Input validation failed.*input\.num_outputs: expected at most 8/)
			await assert.rejects(client.predictions.create({ model: 'some/thing', input: {} }), /404 .*There is no model thing/)
			const version = '0'.repeat(64)
			await assert.rejects(client.predictions.create({ version, input: {} }), /422 .*Invalid version or not permitted/)
			await assert.rejects(client.models.get('some', 'thing'), /404 /)
			await assert.rejects(client.predictions.get('nothing'), /404 /)
		},
		async 'too many requests'(stack) {
			const { fetch: listen, answers } = listening()
			const auth = await stack.key({ requests_per_minute: 1 })
			const client = new Replicate({ baseUrl: `${stack.url}/replicate/v1`, auth, fetch: listen })
			const ask = () => client.predictions.create({ model, input: { prompt: 'a red sphere', steps: 1 } })
			await ask()
			await assert.rejects(ask(), /429/)
			// It tries six times without a pause, and none of them puts off the time from which it is heard again.
			assert.deepEqual(
				answers.map(({ status }) => status),
				[201, ...Array(6).fill(429)]
			)
			const waits = answers.slice(1).map(({ headers }) => Number(headers.get('retry-after')))
			assert.ok(Math.min(...waits) > 0 && waits.every((wait, i) => wait <= (waits[i - 1] ?? 60)), `got ${waits}`)
		},
		async 'a wrong key'(stack) {
			const client = await open(stack, 'r8_nothing')
			await assert.rejects(client.run(model, { input: { prompt: 'a red sphere' } }), /401/)
		}
	}
}
