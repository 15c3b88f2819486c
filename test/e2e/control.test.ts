import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp, { type Sharp } from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import type { GenerationOrder } from '../../shared/contract/order.ts'
import golden from '../../worker-gpu/golden/stable-diffusion.json' with { type: 'json' }
import { root } from '../root.ts'
import { type Stack, startStack } from '../stack.ts'
import { copyTree, runModels } from '../tree.ts'

const wait = { prefer: 'wait=60' }
const side = 32
const dataUri = async (image: Sharp) => `data:image/png;base64,${(await image.png().toBuffer()).toString('base64')}`
const plain = (width: number, height: number, background: string) => sharp({ create: { width, height, channels: 3, background } })

describe('a model with a ControlNet', () => {
	let tree: string
	let stack: Stack
	/** White on the left. */
	let map: string
	let order: GenerationOrder
	beforeAll(async () => {
		tree = copyTree()
		const source = join(tree, 'export')
		const model = golden.models.control
		for (const [part, from] of Object.entries(model.parts)) {
			cpSync(join(root, 'worker-gpu/golden', from), join(source, part), { recursive: true })
		}
		mkdirSync(join(source, 'scheduler'))
		writeFileSync(join(source, 'scheduler/scheduler_config.json'), JSON.stringify(model.scheduler))
		writeFileSync(join(source, 'model_index.json'), JSON.stringify({ _class_name: model.class }))
		const { status, stdout, stderr } = runModels(tree, 'add', source, '--id', 'steered')
		expect(status, stderr).toBe(0)
		expect(stdout).toContain('controlnet_cond: proven to steer each row by its own map and scale')
		expect(stdout).toMatch(/^same bits +from batches of 1$/m)
		stack = await startStack({ tree })
		map = await dataUri(plain(side / 2, side, '#ffffff').extend({ right: side / 2, background: '#000000' }))
		order = { model: 'steered', prompt: 'a red sphere', steps: 4, seed: 5, width: side, height: side }
	}, 120_000)
	afterAll(async () => {
		await stack?.close()
		rmSync(tree, { recursive: true })
	})

	const draw = async (fields: object): Promise<{ generation: Generation; pixels: string }> => {
		const generation = await stack.submit({ ...order, ...fields }, wait)
		expect(generation).toMatchObject({ status: 'succeeded', error: null })
		const picture = await fetch(generation.images[0]!.url)
		return {
			generation,
			pixels: (
				await sharp(await picture.arrayBuffer())
					.raw()
					.toBuffer()
			).toString('base64')
		}
	}

	it('is steered as strongly as was asked for, in each of its tasks, and not at all without a map', async () => {
		const image = await dataUri(plain(side, side, '#808080'))
		for (const start of [{}, { image }, { image, mask: map }]) {
			const drawn = await Promise.all(
				[{}, { control_scale: 0.5 }, { control_scale: 0 }].map((more) => draw({ ...start, ...more, control_image: map }))
			)
			const free = await draw(start)
			expect(new Set([...drawn, free].map(({ pixels }) => pixels)).size).toBe(3)
			expect(drawn[2]!.pixels).toBe(free.pixels)
			expect(drawn[0]!.generation.request).toMatchObject({ control_image: expect.stringMatching(/^upl_/), control_scale: 1 })
			expect(free.generation.request).not.toHaveProperty('control_scale')
		}
	})

	it('is steered on the part of its steps that was asked for, of a shortened walk too', async () => {
		const image = await dataUri(plain(side, side, '#808080'))
		for (const start of [{}, { image, strength: 0.5 }]) {
			const parts = [{}, { control_end: 0.5 }, { control_start: 0.5 }, { control_start: 0.6, control_end: 0.7 }]
			const drawn = await Promise.all(parts.map((more) => draw({ ...start, ...more, control_image: map })))
			const free = await draw(start)
			expect(new Set([...drawn, free].map(({ pixels }) => pixels)).size).toBe(4)
			// No step of four or two lies within a tenth of the way.
			expect(drawn[3]!.pixels).toBe(free.pixels)
			expect(drawn[1]!.generation.request).toMatchObject({ control_start: 0, control_end: 0.5 })
		}
	})

	it('draws the same again when its request is posted again', async () => {
		const { generation, pixels } = await draw({ control_image: map, control_scale: 0.7, control_end: 0.6 })
		expect((await draw(generation.request)).pixels).toBe(pixels)
	})

	it('draws as large as the map where nothing else says so, and tells what became of it', async () => {
		const { width: _, height: __, ...sizeless } = order
		const control_image = await dataUri(plain(60, 40, '#ffffff'))
		const { request, warnings } = await stack.submit({ ...sizeless, control_image }, wait)
		expect(request).toMatchObject({ width: 56, height: 40 })
		expect(warnings.map(({ code, detail }) => [code, detail])).toEqual([
			['size-rounded', 'The picture is 56 × 40 pixels, which the model can draw, and not 60 × 40 as the control image is.'],
			['image-cropped', "Of the control image's 60 × 40 pixels the 56 × 40 in the middle were taken."]
		])
		const image = await dataUri(plain(side, side, '#808080'))
		const both = await stack.submit({ ...sizeless, image, control_image }, wait)
		expect(both.request).toMatchObject({ width: side, height: side })
		expect(both.warnings.map(({ detail }) => detail)).toEqual([
			'The control image of 60 × 40 pixels was scaled to 48 × 32.',
			"Of the control image's 48 × 32 pixels the 32 × 32 in the middle were taken."
		])
	})

	it('says what is wrong with a scale, and other models know no map', async () => {
		const refused = (fields: object) => stack.submit({ ...order, ...fields }).catch((error: Error) => error.message)
		expect(await refused({ control_scale: 1 })).toContain('there is no control_image, whose scale it is')
		expect(await refused({ control_image: map, control_scale: 3 })).toMatch(/"pointer":"\/control_scale".*at most 2/)
		expect(await refused({ model: 'scenes', control_image: map })).toContain('Not a field of text-to-image by \\"scenes\\"')
	})

	it('takes its map from a file on the command line', async () => {
		const file = join(tree, 'map.png')
		writeFileSync(file, Buffer.from(map.slice(map.indexOf(',') + 1), 'base64'))
		const control = ['--control-image', file, '--control-scale', '0.5', '--control-start', '0.25', '--control-end', '0.75']
		const steered = [...control, '--steps', '4', '--seed', '5']
		const args = ['generate', 'a red sphere', '--model', 'steered', ...steered, '-o', join(tree, 'drawn.png'), '--json']
		const env = { ...process.env, DARKROOM_URL: stack.url, DARKROOM_API_KEY: stack.apiKey }
		const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'infra/cli/main.ts'), ...args], { env })
		const { control_image } = JSON.parse(stdout).request
		expect(JSON.parse(stdout).request).toMatchObject({
			control_scale: 0.5,
			control_start: 0.25,
			control_end: 0.75,
			width: side,
			height: side
		})
		const kept = await stack.fetch(`/openai/v1/files/${control_image}/content`)
		expect(Buffer.from(await kept.arrayBuffer())).toEqual(readFileSync(file))
	})

	it("is called by fal's and Replicate's names, which Replicate's schema tells", async () => {
		const native = await draw({ control_image: map, control_scale: 0.5, control_start: 0.25, control_end: 0.75 })
		const post = async (path: string, body: object) => {
			const answer = await stack.fetch(path, {
				method: 'POST',
				headers: { 'content-type': 'application/json', ...wait },
				body: JSON.stringify(body)
			})
			return (await answer.json()) as Record<string, unknown>
		}
		const same = async (url: string) =>
			expect(
				(
					await sharp(await (await fetch(url)).arrayBuffer())
						.raw()
						.toBuffer()
				).toString('base64')
			).toBe(native.pixels)

		const { prompt, steps: num_inference_steps, seed, width, height } = order
		const ours = { prompt, num_inference_steps, seed, control_guidance_start: 0.25, control_guidance_end: 0.75 }
		const byFal = await post('/fal/run/darkroom/steered', {
			...ours,
			image_size: { width, height },
			control_image_url: map,
			controlnet_conditioning_scale: 0.5
		})
		await same((byFal.images as { url: string }[])[0]!.url)
		for (const scale of ['condition_scale', 'controlnet_conditioning_scale']) {
			const input = { ...ours, width, height, control_image: map, [scale]: 0.5 }
			const byReplicate = await post('/replicate/v1/models/darkroom/steered/predictions', { input })
			expect(byReplicate.input).toMatchObject({ condition_scale: 0.5 })
			await same((byReplicate.output as string[])[0]!)
		}
		const model = await (await stack.fetch('/replicate/v1/models/darkroom/steered')).json()
		expect(model).toMatchObject({
			latest_version: {
				openapi_schema: {
					components: {
						schemas: {
							Input: {
								properties: {
									control_image: { type: 'string', format: 'uri' },
									condition_scale: { type: 'number', minimum: 0, maximum: 2 },
									control_guidance_start: { type: 'number', minimum: 0, maximum: 1 },
									control_guidance_end: { type: 'number', minimum: 0, maximum: 1 }
								}
							}
						}
					}
				}
			}
		})
	})
})
