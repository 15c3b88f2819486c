import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { appendFile, cp, mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import shipped from '../../shared/catalog.json' with { type: 'json' }
import { Model } from '../../shared/catalog.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import { startEngine } from '../../worker-gpu/engine/client.ts'
import golden from '../../worker-gpu/golden/imports.json' with { type: 'json' }
import paper from '../../worker-gpu/golden/paper.json' with { type: 'json' }
import stableDiffusion from '../../worker-gpu/golden/stable-diffusion.json' with { type: 'json' }
import { distance, unpack } from '../../worker-gpu/golden/unpack.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import { readFacts } from '../../worker-gpu/ldm/facts.ts'
import { bytesField, ProtobufFile, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import { chooseProvider } from '../../worker-gpu/onnx/provider.ts'
import { type AddOptions, addModel } from './add.ts'
import { changeCatalog } from './catalog-file.ts'
import { checkModel } from './check.ts'
import { draw, exampleDrawing } from './draw.ts'
import { listModels } from './list.ts'
import { removeModel } from './remove.ts'
import { describeExport } from './table.ts'

const exports = path.join(import.meta.dirname, '../../worker-gpu/golden/imports')
const clip = path.join(import.meta.dirname, '../../worker-gpu/golden/tokenizers/clip')
const provider = await chooseProvider('cpu', 1)

let work: string
let source: string
let modelsDir: string
let catalogFile: string
/** Of one model. */
let catalog: string

beforeEach(async () => {
	work = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	source = path.join(work, 'Tiny SD')
	modelsDir = path.join(work, 'models')
	catalogFile = path.join(work, 'catalog.json')
	await mkdir(modelsDir)
	await writeFile(catalogFile, JSON.stringify(shipped))
	changeCatalog(catalogFile, (models) => models.slice(0, 1))
	catalog = readFileSync(catalogFile, 'utf8')
})
afterEach(() => rm(work, { recursive: true }))

const add = (options: Partial<AddOptions> = {}) => addModel({ source, modelsDir, catalogFile, provider, ...options })

/** Lays an export out as its exporter would. */
async function lay(kind: 'scalar' | 'int64' | 'half', className = 'ORTStableDiffusionPipeline'): Promise<void> {
	const half = kind === 'half' ? '-half' : ''
	const parts = {
		unet: `unet-${kind}`,
		text_encoder: `text_encoder${half}`,
		vae_decoder: `vae_decoder${half}`,
		scheduler: 'scheduler'
	}
	for (const [name, from] of Object.entries(parts)) {
		await cp(path.join(exports, from), path.join(source, name), { recursive: true })
	}
	await cp(clip, path.join(source, 'tokenizer'), { recursive: true })
	await writeFile(path.join(source, 'model_index.json'), JSON.stringify({ _class_name: className }))
}

const drawings = golden.drawn.map(({ request: { sampler, seed, ...rest }, ...expected }) => ({
	seed,
	drawing: exampleDrawing('text-to-image', 16, 2, { ...rest, sampler: sampler as 'euler' | null }),
	...expected
}))

describe.each([
	{ kind: 'scalar', timestep: 'float32 []', tolerance: 1e-4 },
	{ kind: 'int64', timestep: 'int64 [steps]', tolerance: 1e-4 },
	{ kind: 'half', timestep: 'float16 []', tolerance: 5e-3 }
] as const)('an export whose timestep is $timestep', ({ kind, timestep, tolerance }) => {
	test('is imported, and draws what diffusers draws with a timestep for each row, fractions and all', async () => {
		await lay(kind)
		const { entry, folder, notes } = await add()
		expect(notes).toContainEqual(expect.stringContaining(`timestep: ${timestep} was rewritten`))
		expect(folder).toBe(path.join(modelsDir, 'tiny-sd'))
		expect(readdirSync(modelsDir)).toEqual(['tiny-sd'])
		expect(JSON.parse(readFileSync(catalogFile, 'utf8')).models).toEqual([shipped.models[0], entry])

		const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
		for (const { seed, drawing, latent, pixels } of drawings) {
			const drawn = await draw(await planFor(checkpoint, drawing), seed)
			expect(distance(drawn.latent.data, unpack(latent))).toBeLessThan(tolerance)
			expect(distance(drawn.image.data, unpack(pixels))).toBeLessThan(10 * tolerance)
		}
	})
})

test('the engine draws with an imported model, with rows at different timesteps in one batch', async () => {
	await lay('scalar')
	const { entry } = await add({ id: 'mine' })
	const engine = await startEngine({ models: ['mine'], modelsDir, provider: 'cpu', threads: 1 })
	try {
		const asked = golden.drawn.map(({ request: { sampler, ...rest } }) =>
			requestFor(Model.parse(entry)).parse({ model: 'mine', ...rest, ...(sampler && { sampler }) })
		)
		const drawn = await Promise.all(asked.map((request) => engine.develop(request)))
		for (const [i, { pictures }] of drawn.entries()) {
			const expected = unpack(golden.drawn[i]!.pixels)
			// Interleaved bytes, from planes of −1 to 1.
			const furthest = pictures[0]!.pixels.reduce((most, byte, at) => {
				const value = expected[(at % 3) * 256 + Math.floor(at / 3)]!
				return Math.max(most, Math.abs(byte - Math.min(255, Math.max(0, (value + 1) * 127.5))))
			}, 0)
			expect(furthest).toBeLessThan(1)
		}
	} finally {
		await engine.close()
	}
})

test("an export of diffusers' own script has no configs, which are made of its graphs", async () => {
	await lay('scalar', 'OnnxStableDiffusionPipeline')
	for (const part of ['unet', 'vae_decoder', 'text_encoder']) {
		await rm(path.join(source, part, 'config.json'))
	}
	const { entry, folder, notes } = await add()
	// As Stable Diffusion has it, where nothing else is said: latents of 64 × 64, in eights. f is the decoder's own.
	expect(entry.size).toEqual({ default: 128, min: 64, max: 256, multiple: 16 })
	expect(notes).toContainEqual(expect.stringContaining('unet/config.json was made of the graph'))
	const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
	for (const { seed, drawing, latent } of drawings) {
		const drawn = await draw(await planFor(checkpoint, drawing), seed)
		expect(distance(drawn.latent.data, unpack(latent))).toBeLessThan(1e-4)
	}
})

describe('a model of every kind that the reference draws with', () => {
	const models = [...Object.entries(stableDiffusion.models), ...Object.entries(paper.models)].map(([name, model]) => ({
		name,
		...model
	}))
	const things = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [i, `thing ${i}`]))
	const layModel = async (model: (typeof models)[number], index: object): Promise<void> => {
		for (const [name, part] of Object.entries(model.parts)) {
			await cp(path.join(exports, '..', part), path.join(source, name), { recursive: true })
		}
		for (const name of ['scheduler', 'low_res_scheduler'] as const) {
			if (name in model) {
				await mkdir(path.join(source, name))
				await writeFile(
					path.join(source, name, 'scheduler_config.json'),
					JSON.stringify((model as Record<string, unknown>)[name])
				)
			}
		}
		const given = 'index' in model ? model.index : {}
		await writeFile(path.join(source, 'model_index.json'), JSON.stringify({ _class_name: model.class, ...given, ...index }))
	}

	test.each(models)('is offered with the tasks that it can do: $name, $class', async (model) => {
		await layModel(model, { id2label: things })
		const { entry, notes } = await add({ id: 'mine' })
		expect(Object.keys(entry.tasks)).toEqual(tasks[model.name])
		expect(notes.join('\n')).not.toContain('is not offered')
		expect(entry).toMatchObject(expected[model.name] ?? {})
		for await (const line of checkModel(modelsDir, catalogFile, provider, 'mine')) {
			expect(line).toMatch(/^mine: .*: drew /)
		}
	})

	test.each(['class', 'layout', 'semantic'])('must name all of its classes, and no more: %s', async (name) => {
		const model = models.find((model) => model.name === name)!
		for (const id2label of [{}, { 0: 'one' }, { ...things, 11: 'one too many' }, { ...things, 12: 'a gap' }]) {
			await rm(source, { recursive: true, force: true })
			await layModel(model, { id2label })
			await expect(add()).rejects.toThrow(/model_index.json: id2label: expected a name for each number that the model knows/)
			nothingWritten()
		}
	})

	test.each([
		['lcm', { original_inference_steps: 20 }, 20],
		['sd', { _class_name: 'DDIMScheduler', num_train_timesteps: 40 }, 39]
	])('is offered with no more steps than its sampler has: %s, %o', async (name, settings, most) => {
		await layModel(models.find((model) => model.name === name)!, {})
		const file = path.join(source, 'scheduler/scheduler_config.json')
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
		lcm: ['text-to-image', 'image-to-image'],
		upscaler: ['super-resolution'],
		'text2im-kl': ['text-to-image'],
		'text2im-vq': ['text-to-image'],
		'super-resolution': ['super-resolution'],
		inpaint: ['inpainting'],
		class: ['class-conditional'],
		layout: ['layout-to-image'],
		semantic: ['semantic-synthesis'],
		'unconditional-vq': ['unconditional'],
		'unconditional-kl': ['unconditional'],
		pixels: ['unconditional'],
		'pixels-ddim': ['unconditional']
	}
	const silent = { guidance: { default: 1, max: 1 }, prompt: { max: 0, negative: false } }
	const expected: Record<string, object> = {
		inpainting: { tasks: { inpainting: { strength: 1 } } },
		'xl-edm': { samplers: [], steps: { default: 30 } },
		refiner: { tasks: { 'image-to-image': { strength: 0.3 }, inpainting: { strength: 1 } } },
		pix2pix: {
			tasks: { 'image-to-image': { image_guidance: { default: 1.5, max: 20 } } },
			guidance: { default: 7.5 },
			prompt: { negative: true }
		},
		lcm: {
			tasks: { 'image-to-image': { strength: 0.8, original_steps: 50 } },
			samplers: ['lcm'],
			steps: { default: 4, max: 50 },
			guidance: { max: 20 },
			prompt: { negative: false }
		},
		upscaler: { tasks: { 'super-resolution': { factor: 4, noise_level: { default: 20, max: 39 } } } },
		'super-resolution': { tasks: { 'super-resolution': { factor: 4 } }, ...silent },
		inpaint: { tasks: { inpainting: {} }, ...silent },
		class: { tasks: { 'class-conditional': { classes: Object.values(things) } }, guidance: { default: 3, max: 20 } },
		layout: { tasks: { 'layout-to-image': { labels: Object.values(things), max: 4 } }, ...silent },
		pixels: { size: { default: 4, multiple: 2 }, ...silent }
	}
})

test('a model that needs no change stays as it is, byte for byte', async () => {
	source = path.join(import.meta.dirname, '../../worker-gpu/golden/tiny')
	const { entry, folder, facts, notes } = await add()
	expect(notes).toContainEqual(expect.stringContaining('timestep: one for each row as it is'))
	for (const part of ['unet', 'vae_decoder', 'text_encoder']) {
		const file = path.join(part, 'model.onnx')
		expect(readFileSync(path.join(folder, file))).toEqual(readFileSync(path.join(source, file)))
	}
	expect(await readFacts(folder)).toEqual(facts)
	expect(facts.preview!.weight.map((row) => row.length)).toEqual([4, 4, 4])
	expect(entry).toMatchObject({
		tasks: { 'text-to-image': {} },
		size: { default: 16, min: 8, max: 32, multiple: 4 },
		samplers: expect.arrayContaining(['ddim', 'euler', 'dpm++-2m-karras']),
		guidance: { default: 7.5, max: 20 },
		prompt: { negative: true }
	})
	expect(entry.samplers).not.toContain('lcm')
})

test.each([
	['few steps', {}, 4, 1],
	['many steps where nothing is left of the signal at its last', { rescale_betas_zero_snr: true }, 30, 7.5]
])("a model that spaces Euler's steps by their ends is offered with %s", async (_, more, steps, guidance) => {
	await lay('scalar')
	const file = path.join(source, 'scheduler/scheduler_config.json')
	const config = JSON.parse(readFileSync(file, 'utf8'))
	const turbo = { _class_name: 'EulerAncestralDiscreteScheduler', timestep_spacing: 'trailing', ...more }
	await writeFile(file, JSON.stringify({ ...config, ...turbo }))
	const { entry } = await add()
	expect(entry).toMatchObject({ steps: { default: steps }, guidance: { default: guidance } })
})

test.each([
	['TCDScheduler', {}, { steps: { default: 4, max: 50 }, guidance: { default: 1 }, samplers: [] }],
	[
		'DEISMultistepScheduler',
		{ algorithm_type: 'deis', solver_type: 'logrho' },
		{ samplers: expect.arrayContaining(['dpm++-2m']) }
	]
])('a model that comes with %s is offered with what reads its settings', async (_class_name, more, expected) => {
	await lay('scalar')
	const file = path.join(source, 'scheduler/scheduler_config.json')
	await writeFile(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), _class_name, ...more }))
	const { entry } = await add()
	expect(Model.parse(entry)).toMatchObject(expected)
})

test('weights in other files are copied with the graph', async () => {
	await lay('scalar')
	await moveWeights(path.join(source, 'unet'))
	await add()
	const unet = path.join(modelsDir, 'tiny-sd/unet')
	expect(readdirSync(unet).sort()).toEqual(['config.json', 'model.onnx', 'model.onnx_data'])
	expect(statSync(path.join(unet, 'model.onnx')).size).toBeLessThan(45_000)
	const checkpoint = await loadCheckpoint(path.join(modelsDir, 'tiny-sd'), provider, { milliseconds: 0 })
	const [{ seed, drawing, latent }] = drawings as [(typeof drawings)[number]]
	const drawn = await draw(await planFor(checkpoint, drawing), seed)
	expect(distance(drawn.latent.data, unpack(latent))).toBeLessThan(1e-4)
})

test('a U-Net of one size is offered in that size', async () => {
	await lay('scalar')
	await fixSize(path.join(source, 'unet/model.onnx'), 8)
	const { entry } = await add()
	expect(entry.size).toEqual({ default: 16, min: 16, max: 16, multiple: 4 })
})

test('an encoder that draws inside its graph is kept, and the tasks that need it are not offered', async () => {
	await lay('scalar')
	await cp(path.join(exports, 'vae_encoder'), path.join(source, 'vae_encoder'), { recursive: true })
	const { entry, folder, notes } = await add()
	expect(Object.keys(entry.tasks)).toEqual(['text-to-image'])
	for (const task of ['image-to-image', 'inpainting']) {
		expect(notes).toContainEqual(
			expect.stringMatching(
				`^${task} is not offered: ${source}/vae_encoder: expected the output latent_parameters, got latent_sample`
			)
		)
	}
	expect(existsSync(path.join(folder, 'vae_encoder/model.onnx'))).toBe(true)
})

test('a dry run does everything and keeps nothing', async () => {
	await lay('int64')
	let found = ''
	const bars: { label: string; left: number }[] = []
	const { entry } = await add({
		dryRun: true,
		onFound: (exported) => (found = describeExport(exported)),
		progress(label, total) {
			const bar = { label, left: total }
			bars.push(bar)
			return () => bar.left--
		}
	})
	expect(bars.map(({ label, left }) => `${label.trim()} ${left}`)).toEqual(['copying 0', 'proving 0', 'measuring 0', 'drawing 0'])
	expect(entry.id).toBe('tiny-sd')
	expect(found).toMatch(/ORTStableDiffusionPipeline, DDIMScheduler, \d+ kB/)
	expect(found).toMatch(
		/unet +\S+ kB +→ +sample +float32 +\[batch_size, num_channels, height, width\]\n +→ +timestep +int64 +\[steps\]/
	)
	nothingWritten()
})

test('names that would write on the terminal are shown as no more than that', async () => {
	await lay('scalar')
	const evil = port('\u001b[2Jsample', [1, ['\u0007batch', 4]])
	await writeFile(path.join(source, 'vae_decoder/model.onnx'), bytesField(7, bytesField(11, evil)))
	let found = ''
	await expect(add({ onFound: (exported) => (found = describeExport(exported)) })).rejects.toThrow('vae_decoder')
	expect(found).toMatch(/\ufffd\[2Jsample +float32 +\[\ufffdbatch, 4\]/)
	expect(found).not.toMatch(/[^\P{Cc}\n]/u)
	nothingWritten()
})

test('models are listed, checked and removed', async () => {
	await lay('scalar')
	await add()
	expect(await listModels(modelsDir, catalogFile)).toMatch(/tiny-sd +text-to-image +8 to 32 .*models\/tiny-sd$/m)
	expect(await listModels(modelsDir, catalogFile)).toMatch(/scenes .* is missing$/m)
	expect(await Array.fromAsync(checkModel(modelsDir, catalogFile, provider, 'tiny-sd'))).toEqual([
		'tiny-sd: text-to-image: drew 8 × 8 in 2 evaluations'
	])
	await expect(Array.fromAsync(checkModel(modelsDir, catalogFile, provider))).rejects.toThrow(/models\/scenes: expected a folder/)
	await expect(removeModel(modelsDir, catalogFile, 'other')).rejects.toThrow(
		'expected a model of the catalog (scenes, tiny-sd), got other'
	)
	expect(await removeModel(modelsDir, catalogFile, 'tiny-sd')).toBeGreaterThan(100_000)
	nothingWritten()
	await expect(removeModel(modelsDir, catalogFile, 'scenes')).rejects.toThrow('scenes is the last')
})

test('a model that lends parts stays while another needs them', async () => {
	await lay('scalar')
	const { folder } = await add()
	await add({ id: 'other' })
	const other = path.join(modelsDir, 'other')
	for (const part of ['vae_decoder', 'tokenizer']) {
		await rm(path.join(other, part), { recursive: true })
	}
	await writeFile(path.join(other, 'darkroom.json'), '{"parts":{"vae_decoder":"tiny-sd","tokenizer":"tiny-sd"}}')
	expect(await Array.fromAsync(checkModel(modelsDir, catalogFile, provider, 'other'))).toHaveLength(1)
	await expect(removeModel(modelsDir, catalogFile, 'tiny-sd')).rejects.toThrow(
		'expected a model that lends no parts to others, but other would miss those of tiny-sd: remove them first'
	)
	expect(existsSync(path.join(folder, 'unet/model.onnx'))).toBe(true)
	await removeModel(modelsDir, catalogFile, 'other')
	await removeModel(modelsDir, catalogFile, 'tiny-sd')
	nothingWritten()
})

function nothingWritten(): void {
	expect(readdirSync(modelsDir)).toEqual([])
	expect(readFileSync(catalogFile, 'utf8')).toBe(catalog)
	expect(readdirSync(work).sort()).toEqual(expect.not.arrayContaining(['catalog.json.next']))
}

describe('refuses, and writes nothing:', () => {
	const cases: Record<string, { spoil(): Promise<unknown>; message: RegExp; options?: Partial<AddOptions> }> = {
		'no folder': { spoil: () => rm(source, { recursive: true }), message: /Tiny SD: expected a folder, found none/ },
		'no index': { spoil: () => rm(at('model_index.json')), message: /model_index.json: expected a JSON file, found no file/ },
		'an unknown class': {
			spoil: () => writeFile(at('model_index.json'), '{"_class_name":"FluxPipeline"}'),
			message: /model_index.json: _class_name: expected a pipeline .*, got FluxPipeline. It knows StableDiffusionPipeline, /
		},
		'a pipeline with a part that nothing here runs': {
			spoil: () =>
				writeFile(
					at('model_index.json'),
					JSON.stringify({
						_class_name: 'StableDiffusionControlNetPipeline',
						controlnet: ['diffusers', 'ControlNetModel'],
						feature_extractor: ['transformers', 'CLIPImageProcessor'],
						image_encoder: [null, null],
						safety_checker: ['stable_diffusion', 'StableDiffusionSafetyChecker'],
						scheduler: ['diffusers', 'DDIMScheduler'],
						text_encoder: ['transformers', 'CLIPTextModel'],
						tokenizer: ['transformers', 'CLIPTokenizer'],
						unet: ['diffusers', 'UNet2DConditionModel'],
						vae: ['diffusers', 'AutoencoderKL']
					})
				),
			message: /got StableDiffusionControlNetPipeline, with controlnet \(ControlNetModel\), which nothing here runs. It/
		},
		'weights of PyTorch': {
			spoil: () =>
				Promise.all(
					['unet', 'text_encoder', 'vae_decoder'].map((part) => rename(at(`${part}/model.onnx`), at(`${part}/model.safetensors`)))
				),
			message: /Tiny SD: expected ONNX graphs \(unet\/model.onnx\), found none\. .*optimum-cli/
		},
		'a graph of another name': {
			spoil: () => rename(at('unet/model.onnx'), at('unet/model_fp16.onnx')),
			message: /Tiny SD: expected a graph called model.onnx in each part's folder .*, found unet\/model_fp16.onnx$/
		},
		'a decoder of another name': {
			spoil: () => rename(at('vae_decoder/model.onnx'), at('vae_decoder/model_fp16.onnx')),
			message: /Tiny SD: expected a graph called model.onnx .*, found vae_decoder\/model_fp16.onnx$/
		},
		"graphs in ONNX Runtime's own format": {
			spoil: () => rename(at('unet/model.onnx'), at('unet/model.ort')),
			message: /Tiny SD: expected a graph called model.onnx .*, found unet\/model.ort$/
		},
		'a text encoder for another U-Net': {
			spoil: async () => {
				for (const part of ['text_encoder', 'tokenizer']) {
					await rm(at(part), { recursive: true })
					await cp(path.join(exports, '../tiny', part), at(part), { recursive: true })
				}
			},
			message: /^unet: expected the input encoder_hidden_states as \[batch_size, sequence_length, 8\], got \[\d+, 12, 16\]$/
		},
		'a text encoder of fewer words': {
			spoil: () => {
				const vocabulary = JSON.parse(readFileSync(at('tokenizer/vocab.json'), 'utf8'))
				const strange = Object.fromEntries(Object.entries(vocabulary).map(([word, id]) => [word, Number(id) + 9_999]))
				return writeFile(at('tokenizer/vocab.json'), JSON.stringify(strange))
			},
			message: /^text_encoder: .*indices element out of data bounds/
		},
		'a tokenizer of another kind': {
			spoil: () =>
				writeFile(
					at('tokenizer/tokenizer.json'),
					'{"normalizer":null,"pre_tokenizer":{"type":"Metaspace"},"model":{"type":"BPE"}}'
				),
			message: /tokenizer.json: .*expected a step of CLIP's or BERT's, got {"type":"Metaspace"} .*pre_tokenizer/
		},
		'graphs a folder deeper': {
			spoil: async () => {
				await mkdir(at('unet/onnx'))
				await rename(at('unet/model.onnx'), at('unet/onnx/model.onnx'))
			},
			message: /Tiny SD: expected a graph called model.onnx .*, found unet\/onnx\/model.onnx$/
		},
		"another U-Net's config": {
			spoil: () => writeFile(at('unet/config.json'), '{"in_channels":9}'),
			message: /Tiny SD\/unet\/config.json: in_channels: expected 4, as the graph has it, got 9/
		},
		"another decoder's config": {
			spoil: () => writeFile(at('vae_decoder/config.json'), '{"block_out_channels":[4,8,8]}'),
			message:
				/Tiny SD\/vae_decoder: expected sides 4 times as long, as block_out_channels of its config.json says, got 2 × 2 to 4 × 4/
		},
		'a decoder that denoises': {
			spoil: () => writeFile(at('vae_decoder/config.json'), '{"_class_name":"ConsistencyDecoderVAE"}'),
			message:
				/vae_decoder\/config.json: .*expected one of AutoencoderKL, AsymmetricAutoencoderKL, AutoencoderTiny, got ConsistencyDecoderVAE/
		},
		'a decoder of four colours': {
			spoil: async () => {
				const latent: Ports = { latent_sample: [1, ['batch', 4, 'height', 'width']] }
				await writeFile(at('vae_decoder/model.onnx'), graphOf(latent, [['Identity', ['latent_sample'], 'sample']]))
				await writeFile(at('vae_decoder/config.json'), '{"block_out_channels":[4]}')
			},
			message: /^expected pictures of three channels, got \[4, 4, 4\]$/
		},
		'a quantised U-Net, whose rows depend on each other': {
			spoil: () => cp(path.join(exports, 'unet-int8'), at('unet'), { recursive: true }),
			message:
				/Tiny SD\/unet: expected a row to be answered the same whatever its company, but one alone is .* dynamic quantisation/
		},
		'no U-Net': {
			spoil: () => rm(at('unet'), { recursive: true }),
			message: /Tiny SD\/unet\/model.onnx: expected .*, found no file/
		},
		'no text encoder': {
			spoil: () => rm(at('text_encoder'), { recursive: true }),
			message: /Tiny SD\/text_encoder\/model.onnx: expected an ONNX graph, found no file/
		},
		'no tokenizer': { spoil: () => rm(at('tokenizer'), { recursive: true }), message: /Tiny SD\/tokenizer/ },
		'half a tokenizer': {
			spoil: () => rm(at('tokenizer/merges.txt')),
			message: /Tiny SD\/tokenizer\/merges.txt: expected a text file/
		},
		'a scheduler without a sampler': {
			spoil: () => writeFile(at('scheduler/scheduler_config.json'), '{"_class_name":"SASolverScheduler"}'),
			message: /scheduler_config.json: .*got SASolverScheduler/
		},
		'a truncated graph': {
			spoil: () => truncate(at('unet/model.onnx'), 30_000),
			message: /Tiny SD\/unet\/model.onnx: expected an ONNX graph, got a file that is broken or cut off \(30000 bytes/
		},
		'no graph at all': {
			spoil: () => writeFile(at('vae_decoder/model.onnx'), 'version https://git-lfs.github.com/spec/v1\n'),
			message: /vae_decoder\/model.onnx: expected an ONNX graph/
		},
		'an empty graph': { spoil: () => truncate(at('vae_decoder/model.onnx'), 0), message: /got a file without one/ },
		'bytes after the graph': { spoil: () => appendFile(at('unet/model.onnx'), '\xff'.repeat(20)), message: /broken or cut off/ },
		'missing weights': {
			spoil: async () => {
				await moveWeights(at('unet'))
				await rm(at('unet/model.onnx_data'))
			},
			message: /Tiny SD\/unet\/model.onnx: expected its weights in "model.onnx_data" beside it, found no file of that name/
		},
		'weights that were cut off': {
			spoil: async () => {
				await moveWeights(at('unet'))
				await truncate(at('unet/model.onnx_data'), 1_000)
			},
			message: /expected "model.onnx_data" to hold at least \d+ bytes of weights, got 1000/
		},
		'weights that are a link': {
			spoil: async () => {
				await moveWeights(at('unet'))
				await rm(at('unet/model.onnx_data'))
				await symlink('/etc/passwd', at('unet/model.onnx_data'))
			},
			message: /expected its weights in "model.onnx_data" beside it, found no plain file/
		},
		'a part that is a link': {
			spoil: async () => {
				await rm(at('vae_decoder'), { recursive: true })
				await symlink(path.join(exports, 'vae_decoder'), at('vae_decoder'))
			},
			message: /Tiny SD\/vae_decoder: expected a plain file or folder, got a link/
		},
		'a config that is a link': {
			spoil: async () => {
				await rm(at('unet/config.json'))
				await symlink('/etc/passwd', at('unet/config.json'))
			},
			message: /Tiny SD\/unet\/config.json: expected a plain file/
		},
		'graphs in graphs without an end': {
			spoil: () => {
				let graph = bytesField(1, '')
				for (let depth = 0; depth < 5_000; depth++) {
					graph = bytesField(1, bytesField(5, bytesField(6, graph)))
				}
				return writeFile(at('unet/model.onnx'), bytesField(7, graph))
			},
			message: /expected graphs nested at most/
		},
		'a timestep of rank 2': {
			spoil: () =>
				writeFile(at('unet/model.onnx'), network({ timestep: [1, ['batch', 1]] }, [['Identity', ['sample'], 'out_sample']])),
			message: /unet\/model.onnx: expected the input timestep with rank 0 or 1, got rank 2/
		},
		'a timestep that is an integer all the way': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({ timestep: [7, ['steps']] }, [
						['CastLike', ['timestep', 'sample'], 't'],
						['Mul', ['sample', 't'], 'out_sample']
					])
				),
			message: /expected the timestep to be cast to float32 on its way, got int64 all the way/
		},
		'a fixed batch': {
			spoil: () =>
				writeFile(at('unet/model.onnx'), network({ sample: [1, [2, 4, 8, 8]] }, [['Mul', ['sample', 'timestep'], 'out_sample']])),
			message: /expected the input sample with a free first axis, the batch's, got \[2, 4, 8, 8\]/
		},
		'a size that is fixed and not square': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({ sample: [1, ['batch', 4, 8, 16]] }, [['Mul', ['sample', 'timestep'], 'out_sample']])
				),
			message: /expected the input sample with a free height and width or square, got 8 × 16/
		},
		'a timestep that rows cannot have for themselves': {
			spoil: () =>
				writeFile(
					at('unet/model.onnx'),
					network({}, [
						['ReduceMean', ['timestep'], 't'],
						['Mul', ['sample', 't'], 'out_sample']
					])
				),
			message: /expected each row of a batch to follow its own timestep, but rows at 981 and 21 in one batch are/
		},
		'a timestep that does not matter': {
			spoil: () => writeFile(at('unet/model.onnx'), network({}, [['Identity', ['sample'], 'out_sample']])),
			message: /expected the timestep to matter/
		},
		'an id that is none': {
			spoil: async () => {},
			options: { id: '../outside' },
			message: /--id: expected small letters.*got "..\/outside"/
		},
		'an id of the catalog': {
			spoil: async () => {},
			options: { id: 'scenes' },
			message: /--id: expected one that is free, but scenes is taken/
		}
	}
	const at = (name: string) => path.join(source, name)

	test.each(Object.entries(cases))('%s', async (_, { spoil, message, options }) => {
		await lay('scalar')
		await spoil()
		await expect(add(options)).rejects.toThrow(message)
		nothingWritten()
	})

	test.each(['../../etc/passwd', '/etc/passwd', 'a/../../b', '..', 'C:\\weights', '..\\weights', ''])(
		'weights in %j',
		async (location) => {
			await lay('scalar')
			const entry = Buffer.concat([bytesField(1, 'location'), bytesField(2, location)])
			const weight = Buffer.concat([varintField(2, 1), bytesField(8, 'w'), bytesField(13, entry), varintField(14, 1)])
			const inNode = bytesField(1, bytesField(5, bytesField(5, weight)))
			for (const graph of [bytesField(5, weight), inNode]) {
				await writeFile(at('unet/model.onnx'), bytesField(7, graph))
				await expect(add()).rejects.toThrow(/unet\/model.onnx: expected (its )?weights in/)
				nothingWritten()
			}
		}
	)

	test('an id whose folder is there', async () => {
		await lay('scalar')
		await mkdir(path.join(modelsDir, 'mine'))
		await expect(add({ id: 'mine' })).rejects.toThrow('--id: expected one that is free, but mine is taken')
		expect(readdirSync(modelsDir)).toEqual(['mine'])
	})

	test('to write a catalog that another import is writing', async () => {
		await lay('scalar')
		await writeFile(`${catalogFile}.next`, '')
		await expect(add()).rejects.toThrow('another import is writing the catalog')
		await rm(`${catalogFile}.next`)
		nothingWritten()
	})
})

/** By name: [element type, dims]. */
type Ports = Record<string, [number, (string | number)[]]>
/** [operator, inputs, output] */
type Nodes = [string, string[], string][]

/** A U-Net's graph of a few nodes. `change` replaces inputs. */
const network = (change: Ports, nodes: Nodes): Buffer =>
	graphOf({ sample: [1, ['batch', 4, 'height', 'width']], timestep: [1, []], ...change }, nodes)

/** A graph, opset 17, whose last node's output is its own, and declared as its first input is. */
function graphOf(inputs: Ports, nodes: Nodes): Buffer {
	const graph = [
		...nodes.map(([operator, from, to]) =>
			bytesField(1, Buffer.concat([...from.map((name) => bytesField(1, name)), bytesField(2, to), bytesField(4, operator)]))
		),
		bytesField(2, 'unet'),
		...Object.entries(inputs).map(([name, type]) => bytesField(11, port(name, type))),
		bytesField(12, port(nodes.at(-1)![2], Object.values(inputs)[0]!))
	]
	return Buffer.concat([varintField(1, 8), bytesField(7, Buffer.concat(graph)), bytesField(8, varintField(2, 17))])
}

function port(name: string, [type, dims]: Ports[string]): Buffer {
	const shape = dims.map((dim) => bytesField(1, typeof dim === 'number' ? varintField(1, dim) : bytesField(2, dim)))
	const tensor = Buffer.concat([varintField(1, type), bytesField(2, Buffer.concat(shape))])
	return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, tensor))])
}

/** Declares a U-Net's sample as [batch, 4, side, side]. */
async function fixSize(file: string, side: number): Promise<void> {
	const proto = new ProtobufFile(file)
	const rewritten = Array.from(proto.fields(), (outer) => {
		if (outer.number !== 7) {
			return proto.bytes(outer.start, outer.to)
		}
		const graph = Array.from(proto.fields(outer.from, outer.to), (field) =>
			field.number === 11 && proto.bytes(field.from, field.to).includes('sample')
				? bytesField(11, port('sample', [1, ['batch', 4, side, side]]))
				: proto.bytes(field.start, field.to)
		)
		return bytesField(7, Buffer.concat(graph))
	})
	proto.close()
	await writeFile(file, Buffer.concat(rewritten))
}

/** Moves a graph's weights into a file beside it, as exporters do with large ones. */
async function moveWeights(folder: string): Promise<void> {
	const file = path.join(folder, 'model.onnx')
	const proto = new ProtobufFile(file)
	const data: Buffer[] = []
	let offset = 0
	const rewritten = Array.from(proto.fields(), (outer) => {
		if (outer.number !== 7) {
			return proto.bytes(outer.start, outer.to)
		}
		const graph = Array.from(proto.fields(outer.from, outer.to), (field) => {
			const tensor = field.number === 5 ? [...proto.fields(field.from, field.to)] : []
			const raw = tensor.find(({ number }) => number === 9)
			if (!raw) {
				return proto.bytes(field.start, field.to)
			}
			const entries = Object.entries({ location: 'model.onnx_data', offset: `${offset}`, length: `${raw.to - raw.from}` })
			data.push(proto.bytes(raw.from, raw.to))
			offset += raw.to - raw.from
			const kept = tensor.filter((inner) => inner !== raw).map(({ start, to }) => proto.bytes(start, to))
			const external = entries.map(([key, value]) => bytesField(13, Buffer.concat([bytesField(1, key), bytesField(2, value)])))
			return bytesField(5, Buffer.concat([...kept, ...external, varintField(14, 1)]))
		})
		return bytesField(7, Buffer.concat(graph))
	})
	proto.close()
	await writeFile(file, Buffer.concat(rewritten))
	await writeFile(path.join(folder, 'model.onnx_data'), Buffer.concat(data))
}
