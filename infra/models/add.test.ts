import { readdirSync, readFileSync, statSync } from 'node:fs'
import { cp, mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import shipped from '../../shared/catalog.json' with { type: 'json' }
import { Model } from '../../shared/catalog.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import golden from '../../worker-gpu/golden/imports.json' with { type: 'json' }
import { drawingOf } from '../../worker-gpu/golden/pipelines.ts'
import { bytesApart, distance, unpack } from '../../worker-gpu/golden/unpack.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import { readFacts } from '../../worker-gpu/ldm/facts.ts'
import { attribute, constantNode, encoded, newNode } from '../../worker-gpu/onnx/new-node.ts'
import { bytesField, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import { draw, exampleDrawing } from './draw.ts'
import { channelsOf, readGraph } from './graph.ts'
import { proveSteering, proveTimestep } from './prove.ts'
import { describeExport } from './table.ts'
import { drawings, exports, provider, workspace } from './testing.ts'
import { declare, declareWeights, graphOf, moveWeights, type Nodes, network, type Ports, port } from './testing-graphs.ts'
import { rewriteTimestep } from './timestep.ts'

const place = workspace()
const { add, lay, at, nothingWritten } = place

describe.each([
	{ kind: 'scalar', timestep: 'float32 []', tolerance: 1e-4 },
	{ kind: 'int64', timestep: 'int64 [steps]', tolerance: 1e-4 },
	{ kind: 'dynamo', timestep: 'int64 []', tolerance: 1e-4 },
	{ kind: 'half', timestep: 'float16 []', tolerance: 5e-3 },
	{ kind: 'dynamo-half', timestep: 'float16 []', tolerance: 5e-3 }
] as const)('an export whose timestep is $timestep', ({ kind, timestep, tolerance }) => {
	test('is imported, and draws what diffusers draws with a timestep for each row, fractions and all', async () => {
		await lay(kind)
		const { entry, folder, notes } = await add()
		expect(notes).toContainEqual(expect.stringContaining(`timestep: ${timestep} was rewritten`))
		expect(folder).toBe(path.join(place.modelsDir, 'tiny-sd'))
		expect(readdirSync(place.modelsDir)).toEqual(['tiny-sd'])
		expect(JSON.parse(readFileSync(place.catalogFile, 'utf8')).models).toEqual([shipped.models[0], entry])

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
	const engine = await place.startEngine()
	try {
		const asked = golden.drawn.map(({ request: { sampler, ...rest } }) =>
			requestFor(Model.parse(entry)).parse({ model: 'mine', ...rest, ...(sampler && { sampler }) })
		)
		const drawn = await Promise.all(asked.map((request) => engine.develop(request)))
		for (const [i, { pictures }] of drawn.entries()) {
			expect(bytesApart(pictures[0]!.pixels, unpack(golden.drawn[i]!.pixels))).toBeLessThan(1)
		}
	} finally {
		await engine.close()
	}
})

test("an export of diffusers' own script has no configs, which are made of its graphs", async () => {
	await lay('scalar', 'OnnxStableDiffusionPipeline')
	for (const part of ['unet', 'vae_decoder', 'text_encoder']) {
		await rm(path.join(place.source, part, 'config.json'))
	}
	const free = ['batch', 'channels', 'height', 'width']
	await declare(at('unet/model.onnx'), { sample: free })
	await declare(at('vae_decoder/model.onnx'), { latent_sample: free })
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

test('a convolution of whole numbers, as quantize_dynamic writes it, says how many channels an input has', async () => {
	const nodes = [
		{ operator: 'DynamicQuantizeLinear', inputs: ['sample'], outputs: ['q', 'scale', 'zero'], attributes: [] },
		{ operator: 'ConvInteger', inputs: ['q', 'weights', 'zero'], outputs: ['out_sample'], attributes: [] }
	]
	const weights = [...[8, 5, 3, 3].map((dim) => varintField(1, dim)), varintField(2, 3), bytesField(8, 'weights')]
	const free: Ports[string] = [1, ['batch', 'channels', 'height', 'width']]
	const graph = [
		...nodes.map((node) => bytesField(1, encoded(node))),
		bytesField(5, Buffer.concat(weights)),
		bytesField(11, port('sample', free)),
		bytesField(12, port('out_sample', free))
	]
	const file = path.join(place.work, 'model.onnx')
	await writeFile(file, bytesField(7, Buffer.concat(graph)))
	expect(channelsOf(readGraph(file), 'sample')).toBe(5)
})

test('a model that needs no change stays as it is, byte for byte', async () => {
	place.source = path.join(import.meta.dirname, '../../worker-gpu/golden/tiny')
	const { entry, folder, facts, notes } = await add()
	expect(notes).toContainEqual(expect.stringContaining('timestep: one for each row as it is'))
	for (const part of ['unet', 'vae_decoder', 'text_encoder']) {
		const file = path.join(part, 'model.onnx')
		expect(readFileSync(path.join(folder, file))).toEqual(readFileSync(at(file)))
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
	const file = at('scheduler/scheduler_config.json')
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
	const file = at('scheduler/scheduler_config.json')
	await writeFile(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), _class_name, ...more }))
	const { entry } = await add()
	expect(Model.parse(entry)).toMatchObject(expected)
})

test.each(['ORTVaeDecoder', 'ORTModelVaeDecoder'])(
	'a pipeline that Optimum has loaded and saved, whose decoder calls itself %s, is imported',
	async (_class_name) => {
		await lay('scalar')
		const file = at('vae_decoder/config.json')
		await writeFile(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), _class_name }))
		expect(Object.keys((await add()).entry.tasks)).toEqual(['text-to-image'])
	}
)

test('of a part that has several graphs model.onnx is read, and the others are told of', async () => {
	await lay('scalar')
	const others = ['unet/model_quantized.onnx', 'unet/onnx/model.onnx', 'vae_decoder/model.ort']
	for (const name of [...others, 'safety_checker/model_fp16.onnx']) {
		await mkdir(path.dirname(at(name)), { recursive: true })
		await writeFile(at(name), 'another')
	}
	const { folder, notes } = await add()
	expect(notes[0]).toBe(`${others.join(', ')}: left out, for of each part its model.onnx is read`)
	expect(readdirSync(path.join(folder, 'unet')).sort()).toEqual(['config.json', 'model.onnx'])
})

test('weights in other files are copied with the graph', async () => {
	await lay('scalar')
	await moveWeights(at('unet'))
	await add()
	const unet = path.join(place.modelsDir, 'tiny-sd/unet')
	expect(readdirSync(unet).sort()).toEqual(['config.json', 'model.onnx', 'model.onnx_data'])
	expect(statSync(path.join(unet, 'model.onnx')).size).toBeLessThan(45_000)
	const checkpoint = await loadCheckpoint(path.join(place.modelsDir, 'tiny-sd'), provider, { milliseconds: 0 })
	const [{ seed, drawing, latent }] = drawings as [(typeof drawings)[number]]
	const drawn = await draw(await planFor(checkpoint, drawing), seed)
	expect(distance(drawn.latent.data, unpack(latent))).toBeLessThan(1e-4)
})

test('weights in a file that is called as texts are copied once', async () => {
	await lay('scalar')
	await moveWeights(at('unet'), 'weights.txt')
	const { found, folder } = await add()
	expect(readdirSync(path.join(folder, 'unet')).sort()).toEqual(['config.json', 'model.onnx', 'weights.txt'])
	expect(found.files).toEqual([...new Set(found.files)])
})

test("a download in huggingface_hub's cache, whose files are links to its blobs, is imported as it lies there, and files are made of them", async () => {
	await lay('scalar')
	await moveWeights(at('unet'))
	const cache = path.join(place.work, 'models--me--tiny-sd')
	const source = path.join(cache, 'snapshots/0123abc')
	await mkdir(path.join(cache, 'blobs'), { recursive: true })
	const names = readdirSync(place.source, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(at(name)).isFile())
	for (const [i, name] of names.entries()) {
		const blob = path.join(cache, 'blobs', `${i}`)
		const link = path.join(source, name)
		await rename(at(name), blob)
		await mkdir(path.dirname(link), { recursive: true })
		await symlink(path.relative(path.dirname(link), blob), link)
	}
	// As whoever gives its folder may have called it.
	const given = path.join(place.work, 'given')
	await symlink(source, given)
	const warned = vi.spyOn(console, 'warn')
	const { folder, found, entry } = await add({ source: given })
	expect(warned, 'opened as it is').not.toHaveBeenCalled()
	expect(entry.id).toBe('tiny-sd')
	expect(readdirSync(folder)).not.toContain('unet-as-exported')
	warned.mockRestore()
	expect(readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => entry.isSymbolicLink())).toBe(false)
	expect(found.size).toBeGreaterThan(100_000)
	expect(readdirSync(path.join(folder, 'unet')).sort()).toEqual(['config.json', 'model.onnx', 'model.onnx_data'])

	await rm(path.join(source, 'unet/config.json'))
	await symlink('/etc/passwd', path.join(source, 'unet/config.json'))
	await expect(add({ id: 'other', source })).rejects.toThrow('0123abc/unet/config.json: expected a plain file')
	// Its own name is no commit's: it says which there are.
	await expect(add({ id: 'other', source: cache })).rejects.toThrow(`found one deeper: give ${source}`)
})

test('of a name with accents the letters make the id', async () => {
	await lay('scalar')
	const source = path.join(place.work, "Modèle d'Été")
	await rename(place.source, source)
	expect((await add({ source, dryRun: true })).entry.id).toBe('modele-d-ete')
})

test.each(['scalar', 'dynamo'] as const)('weights of an export whose timestep is %s may be declared as inputs', async (kind) => {
	await lay(kind)
	for (const part of ['unet', 'vae_decoder', 'text_encoder']) {
		await declareWeights(at(part))
	}
	const { folder } = await add()
	const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
	const [{ seed, drawing, latent }] = drawings as [(typeof drawings)[number]]
	const drawn = await draw(await planFor(checkpoint, drawing), seed)
	expect(distance(drawn.latent.data, unpack(latent))).toBeLessThan(1e-4)
})

/** Rewrites a graph's timestep, proves that the graph says the same, and gives its inputs. */
async function proven(graph: Buffer, half = false) {
	const [whole, each] = [path.join(place.work, 'whole'), path.join(place.work, 'each')]
	await Promise.all([mkdir(whole), mkdir(each)])
	await writeFile(path.join(whole, 'model.onnx'), graph)
	rewriteTimestep(path.join(whole, 'model.onnx'), path.join(each, 'model.onnx'))
	await proveTimestep(whole, each, provider, [4, 8, 8, 2], 2, half)
	return readGraph(path.join(each, 'model.onnx')).inputs
}

test("a timestep that is multiplied by ones, as UNet2DModel's, is one for each row in their place", async () => {
	const constant = (values: number[]) => constantNode(values, '').attributes
	const graph = network({ timestep: [7, []] }, [
		['Shape', ['sample'], 'rows', [attribute('end', 1)]],
		['Constant', [], 'one', constant([1])],
		['Expand', ['one', 'rows'], 'ones'],
		['Constant', [], 'axis', constant([0])],
		['Unsqueeze', ['timestep', 'axis'], 'raised'],
		['Mul', ['raised', 'ones'], 'spread'],
		['Cast', ['spread'], 'float', [attribute('to', 1)]],
		['Constant', [], 'shape', constant([-1, 1, 1, 1])],
		['Reshape', ['float', 'shape'], 't'],
		['Mul', ['sample', 't'], 'out_sample']
	])
	await proven(graph)
})

test('a U-Net of which branches share nothing is told its timestep in the place where it was', async () => {
	const constant = (values: number[]) => constantNode(values, '').attributes
	const graph = network({ encoder_hidden_states: [1, ['batch', 'sequence', 8]] }, [
		['Constant', [], 'axis', constant([0])],
		['Unsqueeze', ['timestep', 'axis'], 'raised'],
		['Shape', ['sample'], 'rows', [attribute('end', 1)]],
		['Expand', ['raised', 'rows'], 'spread'],
		['Constant', [], 'shape', constant([-1, 1, 1, 1])],
		['Reshape', ['spread', 'shape'], 't'],
		['ReduceMean', ['encoder_hidden_states'], 'mean', [attribute('axes', [1, 2])]],
		['Reshape', ['mean', 'shape'], 'said'],
		['Mul', ['t', 'said'], 'told'],
		['Mul', ['sample', 'told'], 'out_sample']
	])
	expect([...(await proven(graph)).keys()]).toEqual(['sample', 'timestep', 'encoder_hidden_states'])
})

test('what a graph within a graph reads of it stays', async () => {
	const constant = (values: number[]) => constantNode(values, '').attributes
	const branch = (name: string) => {
		const product = encoded(newNode('Mul', ['sample', 't'], name))
		const graph = [bytesField(1, product), bytesField(2, name), bytesField(12, port(name, [1, ['batch', 4, 'height', 'width']]))]
		return Buffer.concat([bytesField(1, name), bytesField(6, Buffer.concat(graph)), varintField(20, 5)])
	}
	const graph = network({}, [
		['Constant', [], 'axis', constant([0])],
		['Unsqueeze', ['timestep', 'axis'], 'raised'],
		['Shape', ['sample'], 'rows', [attribute('end', 1)]],
		['Expand', ['raised', 'rows'], 'spread'],
		['Constant', [], 'shape', constant([-1, 1, 1, 1])],
		['Reshape', ['spread', 'shape'], 't'],
		['Constant', [], 'one', constant([1])],
		['Cast', ['one'], 'yes', [attribute('to', 9)]],
		['If', ['yes'], 'out_sample', [branch('then_branch'), branch('else_branch')]]
	])
	await proven(graph)
})

test("a timestep of whole numbers that is cast to halves, as onnxruntime.transformers' float16 leaves it, is one float for each row", async () => {
	const graph = network({ sample: [10, ['batch', 4, 'height', 'width']], timestep: [7, ['steps']] }, [
		['Shape', ['sample'], 'rows', [attribute('end', 1)]],
		['Expand', ['timestep', 'rows'], 'spread'],
		['Cast', ['spread'], 'float', [attribute('to', 10)]],
		['Constant', [], 'shape', constantNode([-1, 1, 1, 1], '').attributes],
		['Reshape', ['float', 'shape'], 't'],
		['Mul', ['sample', 't'], 'out_sample']
	])
	expect((await proven(graph, true)).get('timestep')).toEqual({ type: 'float32', dims: ['batch_size'] })
})

test.each([
	['unet', 'sample', 8, 16],
	['vae_decoder', 'latent_sample', 12, 24]
])('a %s of one size is offered in that size', async (part, input, latents, side) => {
	await lay('scalar')
	await declare(at(`${part}/model.onnx`), { [input]: ['batch', 4, latents, latents] })
	const { entry } = await add()
	expect(entry.size).toEqual({ default: side, min: side, max: side, multiple: 4 })
})

test.each([1, 2, 3])('a U-Net that was exported for %i rows a call draws what diffusers draws', async (count) => {
	await lay('scalar')
	await declare(at('unet/model.onnx'), {
		sample: [count, 4, 'height', 'width'],
		encoder_hidden_states: [count, 'sequence_length', 8]
	})
	const { folder, facts } = await add()
	expect(facts.rows).toBe(count)
	const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
	const walks = await Promise.all(drawings.map(({ drawing }) => planFor(checkpoint, drawing)))
	const rows = walks.map((plan, i) => plan.start(drawings[i]!.seed))
	for (let step = 0; step < walks[0]!.evaluations; step++) {
		const asked = walks.map((plan, i) => plan.evaluate(rows[i]!))
		const answers = await walks[0]!.denoiser.predict(asked.flat())
		for (const [i, plan] of walks.entries()) {
			plan.advance(rows[i]!, answers.splice(0, asked[i]!.length))
		}
	}
	for (const [i, { latent }] of drawings.entries()) {
		expect(distance(rows[i]!.x.data, unpack(latent))).toBeLessThan(1e-4)
	}
})

test('a quantised U-Net, whose rows depend on each other, is asked of one at a time', async () => {
	await lay('scalar')
	await cp(path.join(exports, 'unet-int8'), at('unet'), { recursive: true })
	const { folder, facts, notes } = await add()
	expect(facts.rows).toBe(1)
	expect(notes).toContainEqual(
		expect.stringContaining('each call of the U-Net has one row, for its answer depends on its company')
	)
	const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
	const [one, other] = await Promise.all(drawings.slice(0, 2).map(({ drawing }) => planFor(checkpoint, drawing)))
	const asked = [...one!.evaluate(one!.start(1)), ...other!.evaluate(other!.start(2))]
	const alone = await Promise.all(asked.map((evaluation) => one!.denoiser.predict([evaluation])))
	expect(await one!.denoiser.predict(asked)).toEqual(alone.flat())
})

test('a U-Net is told to be none of the same bits where they depend on the place in a call, though only in pictures of odd sizes', async () => {
	await lay('scalar')
	const constant = (name: string, values: number[]) => ['Constant', [], name, constantNode(values, '').attributes] as const
	const cast = [attribute('to', 1)]
	const nodes = [
		// Of a level half as large one channel: rows of an odd number of places begin anywhere.
		['AveragePool', ['sample'], 'level', [attribute('kernel_shape', [2, 2]), attribute('strides', [2, 2])]],
		['ReduceMean', ['level'], 'one', [attribute('axes', [1])]],
		...['scale', 'bias'].flatMap((name) => [constant(`${name}/1`, [1]), ['Cast', [`${name}/1`], name, cast] as const]),
		['InstanceNormalization', ['one', 'scale', 'bias'], 'normal'],
		['ReduceMax', ['normal'], 'most', [attribute('axes', [2, 3])]],
		constant('shape', [-1, 1, 1, 1]),
		['Reshape', ['timestep', 'shape'], 't'],
		['Mul', ['t', 'most'], 'both'],
		['Mul', ['sample', 'both'], 'out_sample']
	] as const
	const ports: Ports = { timestep: [1, ['batch']], encoder_hidden_states: [1, ['batch', 77, 8]] }
	await writeFile(at('unet/model.onnx'), network(ports, nodes.map(([...node]) => node) as never))
	const { facts, notes } = await add()
	expect(facts.invariantFrom).toBeUndefined()
	expect(notes).toContainEqual(expect.stringContaining('pictures depend on their company by a rounding'))
})

test('an encoder that draws inside its graph is made to leave that to the seed, and draws from an image what diffusers draws', async () => {
	await lay('scalar')
	await cp(path.join(exports, 'vae_encoder'), at('vae_encoder'), { recursive: true })
	const { entry, folder, notes } = await add()
	expect(Object.keys(entry.tasks)).toEqual(['text-to-image', 'image-to-image', 'inpainting'])
	expect(notes).toContainEqual(expect.stringContaining('vae_encoder: it drew inside its graph'))
	expect(readdirSync(path.join(folder, 'vae_encoder')).sort()).toEqual(['config.json', 'model.onnx'])
	const checkpoint = await loadCheckpoint(folder, provider, { milliseconds: 0 })
	const [width, height] = [24, 16]
	const drawing = drawingOf({
		...exampleDrawing('image-to-image', 16, 2),
		...{ prompt: 'a red house', negative_prompt: null, strength: 0.6, guidance: 3, steps: 7, width, height, seed: 3 }
	})
	const { latent } = await draw(await planFor(checkpoint, drawing), 3)
	expect(distance(latent.data, unpack(golden.fromImage))).toBeLessThan(1e-4)
})

test.each<[string, Nodes]>([
	[
		'in a way that is not known',
		[
			['RandomUniformLike', ['sample'], 'noise'],
			['Add', ['sample', 'noise'], 'latent_sample']
		]
	],
	[
		'farther from its means than their deviations say',
		[
			['Concat', ['sample', 'sample'], 'moments', [attribute('axis', 1)]],
			...[0, 1, 3, 6].map((n): Nodes[number] => ['Constant', [], `${n}`, constantNode([n], '').attributes]),
			['Slice', ['moments', '0', '3', '1'], 'mean'],
			['Slice', ['moments', '3', '6', '1'], 'logarithm'],
			['Add', ['logarithm', 'logarithm'], 'twice'],
			['Exp', ['twice'], 'deviation'],
			['RandomNormalLike', ['mean'], 'noise'],
			['Mul', ['deviation', 'noise'], 'drawn'],
			['Add', ['mean', 'drawn'], 'latent_sample']
		]
	]
])('an encoder that draws %s is kept, and the tasks that need it are not offered', async (_, nodes) => {
	await lay('scalar')
	await mkdir(at('vae_encoder'))
	const drawing = graphOf({ sample: [1, ['batch', 3, 'height', 'width']] }, nodes)
	await writeFile(at('vae_encoder/model.onnx'), drawing)
	const { entry, folder, notes } = await add()
	expect(Object.keys(entry.tasks)).toEqual(['text-to-image'])
	for (const task of ['image-to-image', 'inpainting']) {
		expect(notes).toContainEqual(
			expect.stringMatching(
				`^${task} is not offered: ${place.source}/vae_encoder: expected the output latent_parameters, got latent_sample`
			)
		)
	}
	expect(readFileSync(path.join(folder, 'vae_encoder/model.onnx'))).toEqual(drawing)
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
	await writeFile(at('vae_decoder/model.onnx'), bytesField(7, bytesField(11, evil)))
	const source = `${place.source}\u001b[2J`
	await rename(place.source, source)
	let found = ''
	await expect(add({ source, onFound: (exported) => (found = describeExport(exported)) })).rejects.toThrow('vae_decoder')
	expect(found).toMatch(/\ufffd\[2Jsample +float32 +\[\ufffdbatch, 4\]/)
	expect(found).not.toMatch(/[^\P{Cc}\n]/u)
	nothingWritten()
})

describe('what steers', () => {
	/** Adds to each row the mean of its map, times a factor made of the scales. */
	const steeredBy = async (nodes: Parameters<typeof network>[1]) => {
		const constant = (values: number[]) => constantNode(values, '').attributes
		const graph = network(
			{
				timestep: [1, ['batch']],
				controlnet_cond: [1, ['batch', 3, 'map_height', 'map_width']],
				conditioning_scale: [1, ['batch']]
			},
			[
				['Constant', [], 'each', constant([-1, 1, 1, 1])],
				['ReduceMean', ['controlnet_cond'], 'mean', [attribute('axes', [1, 2, 3])]],
				...nodes,
				['Mul', ['mean', 'factor'], 'steering'],
				['Add', ['sample', 'steering'], 'out_sample']
			]
		)
		await writeFile(path.join(place.work, 'model.onnx'), graph)
		return proveSteering(place.work, provider, [4, 8, 8, 2])
	}

	test('does so row by row', async () => {
		await steeredBy([['Reshape', ['conditioning_scale', 'each'], 'factor']])
	})

	test.each([
		[
			'is there with a scale of 0',
			[
				['Cos', ['conditioning_scale'], 'shifted'],
				['Reshape', ['shifted', 'each'], 'factor']
			]
		],
		[
			'follows the scale of another row',
			[
				['ReduceMax', ['conditioning_scale'], 'most'],
				['Reshape', ['most', 'each'], 'factor']
			]
		]
	] as const)('and %s is refused', async (_, nodes) => {
		await expect(steeredBy(nodes as never)).rejects.toThrow('expected conditioning_scale 0 to leave a row as it is without a map')
	})

	test('and does nothing is refused', async () => {
		const nodes = [
			['Sub', ['conditioning_scale', 'conditioning_scale'], 'none'],
			['Reshape', ['none', 'each'], 'factor']
		]
		await expect(steeredBy(nodes as never)).rejects.toThrow('expected controlnet_cond to matter with conditioning_scale 1')
	})
})
