import { readFileSync } from 'node:fs'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { Model } from '../../shared/catalog.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import flux from '../../worker-gpu/golden/flux.json' with { type: 'json' }
import paper from '../../worker-gpu/golden/paper.json' with { type: 'json' }
import { develop, drawingOf, type Golden, misses } from '../../worker-gpu/golden/pipelines.ts'
import stableDiffusion from '../../worker-gpu/golden/stable-diffusion.json' with { type: 'json' }
import stableDiffusion3 from '../../worker-gpu/golden/stable-diffusion-3.json' with { type: 'json' }
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import { attribute, constantNode } from '../../worker-gpu/onnx/new-node.ts'
import { checkModel } from './check.ts'
import { exampleDrawing } from './draw.ts'
import { color } from './entry.ts'
import { exports, provider, workspace } from './testing.ts'
import { declare, network } from './testing-graphs.ts'
import { withPart } from './unet.ts'

const place = workspace()
const { add, at, nothingWritten } = place

describe('a model of every kind that the reference draws with', () => {
	const models = [
		...Object.entries(stableDiffusion.models),
		...Object.entries(stableDiffusion3.models),
		...Object.entries(flux.models),
		...Object.entries(paper.models)
	].map(([name, model]) => ({ name, ...model }))
	const things = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i, `thing ${i}`]))
	/** As many as the model knows. */
	const named = (name: string) =>
		name === 'dit' ? Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [i, `thing ${i}`])) : things
	const layModel = async (model: (typeof models)[number], index: object): Promise<void> => {
		for (const [name, part] of Object.entries(model.parts)) {
			await cp(path.join(exports, '..', part), at(name), { recursive: true })
		}
		for (const name of ['scheduler', 'low_res_scheduler'] as const) {
			if (name in model) {
				await mkdir(at(name), { recursive: true })
				await writeFile(
					path.join(place.source, name, 'scheduler_config.json'),
					JSON.stringify((model as Record<string, unknown>)[name])
				)
			}
		}
		const given = 'index' in model ? model.index : {}
		await writeFile(at('model_index.json'), JSON.stringify({ _class_name: model.class, ...given, ...index }))
	}

	test.each(models)('is offered with the tasks that it can do: $name, $class', async (model) => {
		await layModel(model, { id2label: named(model.name) })
		const { entry, notes } = await add({ id: 'mine' })
		expect(Object.keys(entry.tasks)).toEqual(tasks[model.name])
		expect(notes.join('\n')).not.toContain('is not offered')
		expect(entry).toMatchObject(expected[model.name] ?? {})
		for await (const line of checkModel(place.modelsDir, place.catalogFile, provider, 'mine')) {
			expect(line).toMatch(/^mine: .*: drew /)
		}
	})

	test('SDXL whose first stage is in float16 runs it in float32, as the reference does: it overflows', async () => {
		await layModel(models.find(({ name }) => name === 'xl')!, {})
		for (const part of ['vae_decoder', 'vae_encoder']) {
			await rm(at(part), { recursive: true })
			await cp(path.join(exports, '../stable-diffusion', `${part}-fp16`), at(part), { recursive: true })
		}
		const { folder, notes } = await add()
		expect(notes).toContainEqual(expect.stringMatching(/^vae_decoder: computes in float32 from now/))
		const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
		const golden = stableDiffusion as unknown as Golden
		for (const drawn of golden.drawn.filter(({ model }) => model === 'xl')) {
			const { request } = drawn
			const off = misses(await develop(await planFor(checkpoint, drawingOf(request)), request.seed), drawn, golden)
			expect(Math.max(off.latent, off.pixels)).toBeLessThan(5e-3)
		}
		const decoded = (folder: string) =>
			withPart(path.join(folder, 'vae_decoder'), provider, async (part) => {
				const [picture] = await part.run({ latent_sample: { data: new Float32Array(256).fill(60_000), dims: [1, 4, 8, 8] } }, [
					'sample'
				])
				return picture!.data.every(Number.isFinite)
			})
		expect(await decoded(place.source)).toBe(false)
		expect(await decoded(folder)).toBe(true)
	})

	test('Stable Diffusion 3 whose first stage says nothing of its latents is refused: they are scaled otherwise than those before', async () => {
		await layModel(models.find(({ name }) => name === 'sd3')!, {})
		await rm(at('vae_decoder/config.json'))
		await expect(add()).rejects.toThrow(/vae_decoder\/config.json: .* not of StableDiffusion3Pipeline/)
		nothingWritten()
	})

	test("words that were added to the tokenizer of the paper's text model, and not to its encoder, are refused: each order with one would fail", async () => {
		await layModel(models.find(({ name }) => name === 'text2im-kl')!, {})
		const file = at('tokenizer/tokenizer_config.json')
		const config = JSON.parse(readFileSync(file, 'utf8'))
		await writeFile(file, JSON.stringify({ ...config, added_tokens_decoder: { 72: { content: '<cat>' } } }))
		await expect(add()).rejects.toThrow(
			/tokenizer: expected ids below 72, vocab_size of the text encoder, .*, got 72 for "<cat>"$/
		)
		nothingWritten()
	})

	test('an upscaler is tried with the most noise that it is said to know, which may be little, and is refused where it knows less', async () => {
		await layModel(models.find(({ name }) => name === 'upscaler')!, { max_noise_level: 10 })
		const { entry } = await add()
		expect(entry.tasks['super-resolution']!.noise_level).toEqual({ default: 10, max: 10 })
		// It has 40.
		await layModel(models.find(({ name }) => name === 'upscaler')!, { max_noise_level: 40 })
		await expect(add({ id: 'other' })).rejects.toThrow(/unet: .*idx=40 must be within the inclusive range \[-40,39\]/)
	})

	test('a FLUX that was exported for the tokens of one picture, and rows as many as come, is offered in that size', async () => {
		await layModel(models.find(({ name }) => name === 'flux-dev')!, {})
		const fixed = (tokens: number) => ({
			hidden_states: ['batch', tokens, 64],
			encoder_hidden_states: ['batch', 512, 6],
			img_ids: [tokens, 3],
			txt_ids: [512, 3]
		})
		await declare(at('transformer/model.onnx'), fixed(16))
		const { entry, folder, facts } = await add()
		expect(entry.size).toEqual({ default: 32, min: 32, max: 32, multiple: 8 })
		expect(facts.rows).toBeUndefined()
		const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
		const golden = flux as unknown as Golden
		const same = golden.drawn.filter(
			({ model, request }) => model === 'flux-dev' && request.width === 32 && request.height === 32
		)
		expect(same.length).toBeGreaterThan(3)
		for (const drawn of same) {
			const { request } = drawn
			expect(
				misses(await develop(await planFor(checkpoint, drawingOf(request)), request.seed), drawn, golden).latent
			).toBeLessThan(1e-4)
		}
		await declare(at('transformer/model.onnx'), fixed(15))
		await expect(add({ id: 'other' })).rejects.toThrow(
			'expected the input hidden_states of any number of tokens, or of a square, got 15'
		)
	})

	test("a FLUX that takes the places of its text by the name of the picture's, as optimum-onnx's --dynamo leaves it, is refused", async () => {
		await layModel(models.find(({ name }) => name === 'flux-dev')!, {})
		await declare(at('transformer/model.onnx'), {
			hidden_states: ['batch', 'tokens', 64],
			encoder_hidden_states: ['batch', 'words', 6],
			img_ids: ['words', 3],
			txt_ids: ['tokens', 3]
		})
		await expect(add()).rejects.toThrow(
			/transformer: expected the input img_ids with as many places as hidden_states has tokens, tokens, got words, which are those of txt_ids/
		)
		nothingWritten()
	})

	test('a DiT of latents that nothing halves is offered in its size, which is no multiple of eight of them', async () => {
		await layModel(models.find(({ name }) => name === 'dit')!, { id2label: named('dit') })
		const graph = network({ sample: [1, ['batch', 3, 6, 6]], timestep: [1, ['batch']], class_labels: [7, ['batch']] }, [
			['Cast', ['class_labels'], 'class', [attribute('to', 1)]],
			['Mul', ['timestep', 'class'], 'told'],
			['Add', ['timestep', 'told'], 'both'],
			['Constant', [], 'shape', constantNode([-1, 1, 1, 1], '').attributes],
			['Reshape', ['both', 'shape'], 'factor'],
			['Mul', ['sample', 'factor'], 'out_sample']
		])
		await writeFile(at('unet/model.onnx'), graph)
		const { entry } = await add({ id: 'mine' })
		expect(entry.size).toEqual({ default: 12, min: 12, max: 12, multiple: 4 })
		expect(entry.tasks['class-conditional']!.classes).toHaveLength(1_000)
		// And what is wrong with its size is not laid to its classes.
		const config = at('unet/config.json')
		await writeFile(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), patch_size: 5 }))
		await expect(add({ id: 'other' })).rejects.toThrow('width: expected a multiple of 10, got 12')
	})

	test('a DiT that does not know of no class is refused: with guidance it would draw nothing', async () => {
		await layModel(models.find(({ name }) => name === 'dit')!, { id2label: named('dit') })
		const classes = Array.from({ length: 1_000 }, (_, label) => label)
		const graph = network({ sample: [1, ['batch', 3, 8, 8]], timestep: [1, ['batch']], class_labels: [7, ['batch']] }, [
			['Constant', [], 'classes', constantNode(classes, '').attributes],
			['Gather', ['classes', 'class_labels'], 'known'],
			['Cast', ['known'], 'class', [attribute('to', 1)]],
			['Add', ['timestep', 'class'], 'both'],
			['Constant', [], 'shape', constantNode([-1, 1, 1, 1], '').attributes],
			['Reshape', ['both', 'shape'], 'factor'],
			['Mul', ['sample', 'factor'], 'out_sample']
		])
		await writeFile(at('unet/model.onnx'), graph)
		await expect(add()).rejects.toThrow(/idx=1000 must be within the inclusive range \[-1000,999\]/)
		nothingWritten()
	})

	test.each([
		['pix2pix', 'image', 'image_guidance', [1, 8]],
		['upscaler', 'image', 'noise_level', [0, 39]],
		['control', 'control_image', 'control_scale', [0, 0.5]]
	] as const)('the engine tells %s, beside its %s, the %s', async (name, input, field, values) => {
		await layModel(models.find((model) => model.name === name)!, {})
		const model = Model.parse((await add({ id: 'mine' })).entry)
		const engine = await place.startEngine()
		try {
			const [task] = Object.keys(model.tasks) as [keyof typeof model.tasks]
			const asked = {
				model: 'mine',
				[input]: 'upl_00000000000000000000000000',
				prompt: 'a sphere',
				width: 32,
				height: 32,
				steps: 2,
				seed: 1
			}
			const pixels = values.map(async (value) => {
				const request = requestFor(model, { task }).parse({ ...asked, [field]: value })
				const side = name === 'upscaler' ? 8 : 32
				const image = { pixels: new Uint8Array(3 * side ** 2).map((_, i) => i % 251), width: side, height: side }
				const { pictures } = await engine.develop(request, { inputs: { [input]: image } })
				return pictures[0]!.pixels
			})
			const [one, other] = await Promise.all(pixels)
			expect(one).not.toEqual(other)
		} finally {
			await engine.close()
		}
	})

	test.each(['class', 'layout', 'semantic'])('must name all of its classes, and no more: %s', async (name) => {
		const model = models.find((model) => model.name === name)!
		for (const id2label of [{}, { 0: 'one' }, { ...things, 11: 'one too many' }, { ...things, 12: 'a gap' }]) {
			await rm(place.source, { recursive: true, force: true })
			await layModel(model, { id2label })
			await expect(add()).rejects.toThrow(/model_index.json: id2label: expected a name for each number that the model knows/)
			nothingWritten()
		}
	})

	test.each([11, 182, 512, 2_000])('gets a colour of its own for each of %i classes', (count) => {
		expect(new Set(Array.from({ length: count }, (_, i) => color(i, count))).size).toBe(count)
	})

	test.each([
		['lcm', { original_inference_steps: 20 }, 20],
		['sd', { _class_name: 'DDIMScheduler', num_train_timesteps: 40 }, 39]
	])('is offered with no more steps than its sampler has: %s, %o', async (name, settings, most) => {
		await layModel(models.find((model) => model.name === name)!, {})
		const file = at('scheduler/scheduler_config.json')
		await writeFile(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...settings }))
		const { entry, folder } = await add()
		expect(entry.steps.max).toBe(most)
		expect(entry.tasks['image-to-image']!.original_steps).toBe(name === 'lcm' ? most : undefined)
		const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
		// What the edge would let through, and one that it would not.
		const draws = (change: object) => planFor(checkpoint, exampleDrawing('image-to-image', 16, 2, change))
		expect((await draws({ steps: most, strength: 1 })).evaluations).toBe(most)
		expect((await draws({ steps: 10, strength: 0.5 })).evaluations).toBe(name === 'lcm' ? 10 : 5)
		await expect(draws({ steps: most + 1 })).rejects.toThrow(/^steps: /)
	})

	const images = ['text-to-image', 'image-to-image', 'inpainting']
	const tasks: Record<string, string[]> = {
		sd: images,
		'sd-old': images,
		'sd-fp16': images,
		'sd-v': images,
		inpainting: ['inpainting'],
		xl: images,
		'xl-edm': images,
		refiner: ['image-to-image', 'inpainting'],
		'sd-taesd': images,
		pix2pix: ['image-to-image'],
		'xl-pix2pix': ['image-to-image'],
		control: images,
		'xl-control': images,
		lcm: ['text-to-image', 'image-to-image'],
		upscaler: ['super-resolution'],
		sd3: images,
		'sd3-t5': images,
		'sd3.5': images,
		'flux-dev': images,
		'flux-schnell': images,
		'flux-schnell-fp16': images,
		'text2im-kl': ['text-to-image'],
		'text2im-vq': ['text-to-image'],
		'super-resolution': ['super-resolution'],
		inpaint: ['inpainting'],
		class: ['class-conditional'],
		dit: ['class-conditional'],
		layout: ['layout-to-image'],
		semantic: ['semantic-synthesis'],
		'unconditional-vq': ['unconditional'],
		'unconditional-kl': ['unconditional'],
		pixels: ['unconditional'],
		'pixels-ddim': ['unconditional'],
		'pixels-pndm': ['unconditional']
	}
	const silent = { guidance: { default: 1, max: 1 }, prompt: { max: 0, negative: false } }
	const edits = {
		tasks: { 'image-to-image': { image_guidance: { default: 1.5, max: 20 } } },
		guidance: { default: 7.5 },
		prompt: { negative: true }
	}
	const steered = {
		tasks: { 'text-to-image': {}, 'image-to-image': { strength: 0.8 }, inpainting: { strength: 1 } },
		control: { default: 1, max: 2 }
	}
	const flow = {
		tasks: { 'text-to-image': {}, 'image-to-image': { strength: 0.6 }, inpainting: { strength: 0.6 } },
		samplers: ['euler'],
		size: { default: 32, min: 16, max: 64, multiple: 8 },
		steps: { default: 28, min: 1, max: 1000 },
		guidance: { default: 7, max: 20 },
		prompt: { max: 1000, negative: true }
	}
	/** Of 128 latents along each side, whatever that is in pixels. */
	const large = { size: { default: 512, min: 256, max: 1024, multiple: 8 } }
	const expected: Record<string, object> = {
		inpainting: { tasks: { inpainting: { strength: 1 } } },
		'xl-edm': { samplers: [], steps: { default: 30 } },
		refiner: { tasks: { 'image-to-image': { strength: 0.3 }, inpainting: { strength: 1 } } },
		pix2pix: edits,
		'xl-pix2pix': edits,
		control: steered,
		'xl-control': steered,
		lcm: {
			tasks: { 'image-to-image': { strength: 0.8, original_steps: 50 } },
			samplers: ['lcm'],
			steps: { default: 4, max: 50 },
			guidance: { max: 20 },
			prompt: { negative: false }
		},
		upscaler: { tasks: { 'super-resolution': { factor: 4, noise_level: { default: 20, max: 39 } } } },
		sd3: flow,
		'sd3-t5': { ...flow, prompt: { max: 4000, negative: true } },
		'sd3.5': flow,
		'flux-dev': { ...flow, ...large, guidance: { default: 3.5, max: 20 }, prompt: { max: 4000, negative: false } },
		'flux-schnell': {
			...flow,
			...large,
			steps: { default: 4, min: 1, max: 1000 },
			guidance: { default: 1, max: 20 },
			prompt: { max: 4000, negative: true }
		},
		'super-resolution': { tasks: { 'super-resolution': { factor: 4 } }, ...silent },
		inpaint: { tasks: { inpainting: {} }, ...silent },
		class: { tasks: { 'class-conditional': { classes: Object.values(things) } }, guidance: { default: 3, max: 20 } },
		dit: { size: { default: 16, min: 16, max: 16, multiple: 4 }, guidance: { default: 3, max: 20 } },
		layout: { tasks: { 'layout-to-image': { labels: Object.values(things), max: 4 } }, ...silent },
		pixels: {
			description: 'Imported from an export of DDPMPipeline, which draws in pixels.',
			size: { default: 4, multiple: 2 },
			steps: { default: 30, min: 1, max: 1000 },
			...silent
		},
		'pixels-pndm': { steps: { default: 30, min: 4, max: 1000 } }
	}
})
