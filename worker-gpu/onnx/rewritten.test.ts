import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { newModel, newWeights } from '../golden/new-model.ts'
import { generator } from '../ldm/noise.ts'
import { fusedAttention } from './attention.ts'
import { movedBiases } from './biases.ts'
import { ROWS, sharedByBranches } from './branches.ts'
import { FLOAT, Graph, INT64, type Rewrite } from './graph.ts'
import { attribute, type Declared, declaration, encoded, MICROSOFT, type NewNode, newNode } from './new-node.ts'
import { cutProjections } from './projections.ts'
import { bytesField, type Field, ProtobufFile, varintField } from './protobuf.ts'
import { chooseProvider } from './provider.ts'
import { rewritten, type Shapes } from './rewritten.ts'
import { openSession } from './session.ts'
import { wholeSines } from './sines.ts'
import { mergedTimesteps, unspreadTimesteps } from './timesteps.ts'
import { phasedUpsampling } from './upsampling.ts'

const fileOf = (part: string) => path.join(import.meta.dirname, '..', part, 'model.onnx')

/** With one thread: others wait by turning round, which takes more than what they do. */
const open = (graph: string | Uint8Array) =>
	typeof graph === 'string'
		? InferenceSession.create(graph, { intraOpNumThreads: 1 })
		: InferenceSession.create(graph, { intraOpNumThreads: 1 })

/** Inputs of a graph, of odd sizes: what is free takes the size that its name has here. */
const sizes: Readonly<Record<string, number>> = {
	batch_size: 3,
	step: 3,
	height: 8,
	width: 12,
	sequence_length: 5,
	packed_height_width: 6,
	map_height: 32,
	map_width: 48
}

async function feedsOf(session: InferenceSession, more: Readonly<Record<string, number>> = {}): Promise<Record<string, Tensor>> {
	const feeds: Record<string, Tensor> = {}
	for (const [i, port] of session.inputMetadata.entries()) {
		const dims = port.isTensor ? port.shape.map((dim) => (typeof dim === 'number' ? dim : ({ ...sizes, ...more }[dim] ?? 8))) : []
		const { data } = generator(i).normal(dims)
		const isWhole = port.isTensor && port.type === 'int64'
		feeds[port.name] = isWhole
			? new Tensor(
					'int64',
					BigInt64Array.from(data, (value) => BigInt(Math.round(value))),
					dims
				)
			: new Tensor('float32', data, dims)
	}
	return feeds
}

const answer = async (session: InferenceSession, feeds: Record<string, Tensor>) =>
	(await session.run(feeds))[session.outputNames[0]!]!.data as Float32Array

/** How many nodes a rewrite finds in a graph that others take the place of. */
function placesIn(file: string, rewrite: Rewrite): number {
	const graph = new Graph(file)
	try {
		return rewrite(graph, new Map()).size
	} finally {
		graph.close()
	}
}

const apart = (got: Float32Array, expected: Float32Array) =>
	got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0) /
	expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)

describe.each([
	// Written out with heads in the batch, as the demo model's; torch's own, over graphs that were made plain before; of one head.
	['models/scenes/unet', 'attention', fusedAttention, 14],
	['golden/stable-diffusion/unet', 'attention', fusedAttention, 8],
	['golden/paper/unet-7', 'attention', fusedAttention, 4],
	// With a ControlNet's beside its own.
	['golden/stable-diffusion/unet-control', 'attention', fusedAttention, 4],
	['golden/first-stages/kl/vae_decoder', 'attention', fusedAttention, 1],
	// Of heads that are normalised, and put together with those of the text.
	['golden/stable-diffusion-3/transformer', 'attention', fusedAttention, 2],
	['golden/stable-diffusion-3/transformer-3.5', 'attention', fusedAttention, 3],
	['golden/flux/transformer-dev', 'attention', fusedAttention, 2],
	['golden/flux/transformer-schnell', 'attention', fusedAttention, 2], // As the tracer writes it, with constants computed.
	// Turned by way of three dimensions, as torch.export does.
	['golden/imports/unet-dynamo', 'attention', fusedAttention, 2],
	['models/scenes/unet', 'halves of projections', cutProjections, 14],
	['golden/stable-diffusion/unet', 'halves of projections', cutProjections, 8],
	['golden/imports/unet-dynamo', 'halves of projections', cutProjections, 1], // Both in one node, as torch.export does.
	['models/scenes/unet', 'upsampling', phasedUpsampling, 2],
	['models/scenes/vae_decoder', 'upsampling', phasedUpsampling, 3],
	['golden/first-stages/vq/vqvae_decoder', 'upsampling', phasedUpsampling, 2],
	['golden/stable-diffusion/unet', 'sines of two frequencies', wholeSines, 2],
	['golden/stable-diffusion/unet-xl', 'sines of two frequencies', wholeSines, 4],
	['golden/imports/unet-scalar', 'sines of two frequencies', wholeSines, 2],
	['models/scenes/unet', 'biases', movedBiases, 38],
	['golden/stable-diffusion/unet', 'biases', movedBiases, 26],
	['golden/paper/unet-7', 'biases', movedBiases, 26],
	['golden/first-stages/kl/vae_decoder', 'biases', movedBiases, 2],
	['models/scenes/unet', 'projected timesteps', mergedTimesteps, 11],
	['golden/stable-diffusion/unet-xl', 'projected timesteps', mergedTimesteps, 8],
	['golden/stable-diffusion/unet-control', 'projected timesteps', mergedTimesteps, 10],
	['golden/stable-diffusion-3/transformer', 'projected timesteps', mergedTimesteps, 5],
	['golden/flux/transformer-dev', 'projected timesteps', mergedTimesteps, 4],
	['models/scenes/unet', 'spread timesteps', unspreadTimesteps, 1],
	['golden/stable-diffusion/unet', 'spread timesteps', unspreadTimesteps, 1],
	['golden/stable-diffusion/unet-xl', 'spread timesteps', unspreadTimesteps, 1],
	// Of two: its ControlNet counts the rows of what is cut off the latent.
	['golden/stable-diffusion/unet-control', 'spread timesteps', unspreadTimesteps, 1]
] as const)('%s, its %s', (part, _, rewrite, places) => {
	test('is found, and gives the same', async () => {
		const file = fileOf(part)
		expect(placesIn(file, rewrite)).toBe(places)
		const [before, after] = [await open(file), await open(rewritten(file, [rewrite])!)]
		const feeds = await feedsOf(before)
		const [expected, got] = [await answer(before, feeds), await answer(after, feeds)]
		expect(apart(got, expected)).toBeLessThan(1e-5)
	})
})

test('heads that are split by their number, as exporters of older versions of diffusers do, are found as those that are split by d', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	onTestFinished(() => rm(folder, { recursive: true }))
	const shape = (heads: number, d: number) => Buffer.from(BigInt64Array.of(BigInt(heads), BigInt(d)).buffer)
	const usual = fileOf('golden/flux/transformer-schnell')
	const bytes = readFileSync(usual)
	let places = 0
	for (let at = bytes.indexOf(shape(-1, 4)); at >= 0; at = bytes.indexOf(shape(-1, 4), at)) {
		shape(2, -1).copy(bytes, at)
		places++
	}
	expect(places).toBeGreaterThan(0)
	const file = path.join(folder, 'model.onnx')
	await writeFile(file, bytes)
	expect(placesIn(file, fusedAttention)).toBe(2)
	const [before, after] = [await open(usual), await open(rewritten(file, [fusedAttention])!)]
	const feeds = await feedsOf(before)
	expect(apart(await answer(after, feeds), await answer(before, feeds))).toBeLessThan(1e-5)
})

test('half of a projection in half precision, which GPUs have, is found as one in float32 is', () => {
	expect(placesIn(fileOf('golden/imports/unet-half'), cutProjections)).toBe(2)
	expect(placesIn(fileOf('golden/imports/unet-dynamo-half'), cutProjections)).toBe(1)
})

test.each([
	[17, 2],
	[12, 0] // Split is another operator there.
])('in a graph of opset %i timesteps are projected at once in %i places', async (opset, places) => {
	const weights = (name: string, ...dims: number[]) => {
		const raw = Buffer.alloc(4 * dims.reduce((product, dim) => product * dim))
		return bytesField(
			5,
			Buffer.concat([...dims.map((dim) => varintField(1, dim)), varintField(2, 1), bytesField(8, name), bytesField(9, raw)])
		)
	}
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	onTestFinished(() => rm(folder, { recursive: true }))
	const graph = ['a', 'b'].flatMap((name) => [
		bytesField(1, encoded(newNode('Gemm', ['x', `${name}/W`, `${name}/b`], name, [attribute('transB', 1)]))),
		weights(`${name}/W`, 3, 2),
		weights(`${name}/b`, 3),
		bytesField(12, declaration(name, { type: 1, dims: ['batch', 3] }))
	])
	const declared = bytesField(11, declaration('x', { type: 1, dims: ['batch', 2] }))
	const file = path.join(folder, 'model.onnx')
	await writeFile(file, Buffer.concat([bytesField(7, Buffer.concat([...graph, declared])), bytesField(8, varintField(2, opset))]))
	expect(placesIn(file, mergedTimesteps)).toBe(places)
})

test('sines of frequencies that are taken four at once stay as they are', () => {
	expect(placesIn(fileOf('models/scenes/unet'), wholeSines)).toBe(0)
})

describe('what the branches of guidance share is computed once', () => {
	const others = [fusedAttention, cutProjections, phasedUpsampling]

	test.each([
		// How often rows take what latents have: past the attention, in skips, and the timestep in each block that follows.
		['models/scenes/unet', others, 16],
		['models/scenes-layout/unet', others, 16],
		['golden/stable-diffusion/unet', others, 13],
		// Attention that is written out has heads and latents in one axis, and is not shared.
		['golden/stable-diffusion/unet', [], 13],
		// Its timestep meets the condition at once, which leaves the first convolutions.
		['golden/stable-diffusion/unet-xl', others, 3]
	] as const)('%s', async (part, rewrites, takes) => {
		const file = fileOf(part)
		const graph = rewritten(file, [...rewrites, sharedByBranches])!
		expect(graph.toString('latin1').split(ROWS).length - 2).toBe(takes)
		const [each, once] = [await open(rewritten(file, rewrites) ?? readFileSync(file)), await open(graph)]
		const latents = [0, 0, 1, 2, 2]
		const feeds = await feedsOf(once, { batch_size: latents.length })
		const repeated = { ...feeds }
		for (const name of ['sample', 'timestep']) {
			const { data, dims } = feeds[name]!
			const [, ...rest] = dims
			const size = rest.reduce((product, dim) => product * dim, 1)
			const rows = latents.map((n) => [...(data as Float32Array)].slice(n * size, (n + 1) * size))
			feeds[name] = new Tensor('float32', (data as Float32Array).slice(0, 3 * size), [3, ...rest])
			repeated[name] = new Tensor('float32', Float32Array.from(rows.flat()), [latents.length, ...rest])
		}
		feeds[ROWS] = new Tensor('int64', BigInt64Array.from(latents, BigInt), [latents.length])
		delete repeated[ROWS]
		expect(apart(await answer(once, feeds), await answer(each, repeated))).toBeLessThan(1e-6)
	})

	test('in memory that is long enough for rows, where rows and latents were called the same', async () => {
		const node = (...made: Parameters<typeof newNode>) => bytesField(1, encoded(newNode(...made)))
		const port = (name: string) => declaration(name, { type: 1, dims: ['batch', 2, 2, 2] })
		const graph = [
			node('MatMul', ['sample', 'sample'], 'a'),
			node('Sin', ['a'], 'b'),
			node('MatMul', ['b', 'text'], 'c'),
			node('Sin', ['text'], 'd'),
			node('MatMul', ['c', 'd'], 'out'),
			...['sample', 'text'].map((name) => bytesField(11, port(name))),
			bytesField(12, port('out')),
			...['a', 'b', 'c', 'd'].map((name) => bytesField(13, port(name)))
		]
		const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
		const file = path.join(folder, 'model.onnx')
		const opset = bytesField(8, varintField(2, 17))
		await writeFile(file, Buffer.concat([varintField(1, 8), bytesField(7, Buffer.concat(graph)), opset]))
		const [each, once] = [await open(file), await open(rewritten(file, [sharedByBranches])!)]
		const [one, text] = [generator(1).normal([1, 2, 2, 2]).data, generator(2).normal([3, 2, 2, 2]).data]
		const all = { text: new Tensor('float32', text, [3, 2, 2, 2]) }
		const repeated = { ...all, sample: new Tensor('float32', Float32Array.from([...one, ...one, ...one]), [3, 2, 2, 2]) }
		const rows = new Tensor('int64', BigInt64Array.from([0n, 0n, 0n]), [3])
		const shared = { ...all, sample: new Tensor('float32', one, [1, 2, 2, 2]), [ROWS]: rows }
		expect(await answer(once, shared)).toEqual(await answer(each, repeated))
		await rm(folder, { recursive: true })
	})

	test.each([
		['models/scenes-super-resolution/unet', 'is given nothing else'],
		['golden/stable-diffusion-3/transformer', 'meets the condition at once'],
		['golden/flux/transformer-dev', 'meets it likewise'],
		['models/scenes/vae_decoder', 'is no U-Net']
	])('nothing in %s, which %s', (part) => {
		expect(placesIn(fileOf(part), sharedByBranches)).toBe(0)
	})
})

describe('where it is known how long the axes of inputs are', () => {
	let folder: string
	beforeAll(async () => {
		folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	})
	afterAll(() => rm(folder, { recursive: true }))

	test.each([
		['golden/stable-diffusion/unet', [fusedAttention, cutProjections, movedBiases]],
		['golden/stable-diffusion/unet-xl', [fusedAttention, cutProjections, phasedUpsampling, sharedByBranches]],
		['golden/paper/unet-7', []]
	] as const)('nothing in %s computes with shapes any more, and it gives the same', async (part, rewrites) => {
		const file = fileOf(part)
		const optimised = path.join(folder, 'optimised.onnx')
		const open = async (shapes?: Shapes) => {
			const graph = rewritten(file, rewrites, shapes) ?? readFileSync(file)
			const session = await InferenceSession.create(graph, { optimizedModelFilePath: optimised, logSeverityLevel: 3 })
			const { nodes } = new Graph(optimised)
			return { session, shapes: nodes.filter(({ operator }) => operator === 'Shape').length }
		}
		const before = await open()
		const feeds = await feedsOf(before.session)
		if (ROWS in feeds) {
			feeds[ROWS] = new Tensor('int64', BigInt64Array.from([0n, 1n, 2n]), [3])
		}
		const after = await open(Object.fromEntries(Object.entries(feeds).map(([name, { dims }]) => [name, dims])))
		expect(before.shapes).toBeGreaterThan(0)
		expect(after.shapes).toBe(0)
		expect(apart(await answer(after.session, feeds), await answer(before.session, feeds))).toBeLessThan(1e-5)
	})

	test('other values that have the names of those axes are as long as they are', async () => {
		const wrong: Declared = { type: 1, dims: ['batch', 'height'] }
		const graph = [
			...['a', 'b'].map((to, i) => {
				const from = i === 0 ? 'x' : 'a'
				const concat = newNode('Concat', [from, from], to, [attribute('axis', 1)])
				return bytesField(1, encoded(concat))
			}),
			bytesField(11, declaration('x', wrong)),
			bytesField(13, declaration('a', wrong)),
			bytesField(12, declaration('b', { type: 1, dims: ['height', 'height'] }))
		]
		const file = path.join(folder, 'model.onnx')
		const opset = bytesField(8, varintField(2, 17))
		await writeFile(file, Buffer.concat([varintField(1, 8), bytesField(7, Buffer.concat(graph)), opset]))
		const session = await open(rewritten(file, [], { x: [2, 1] })!)
		const { b } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 2), [2, 1]) })
		expect(b!.dims).toEqual([2, 4])
		expect([...(b!.data as Float32Array)]).toEqual([1, 1, 1, 1, 2, 2, 2, 2])
		await expect(session.run({ x: new Tensor('float32', Float32Array.of(1), [1, 1]) })).rejects.toThrow('invalid dimensions')
	})

	test('a graph that does not open so is opened for any', async () => {
		const file = await withWeights('odd.onnx', 17, newNode('Add', ['x', 'w'], 'y'))
		await expect(open(rewritten(file, [], { x: [2] })!)).rejects.toThrow('Incompatible dimensions')
		const told = vi.spyOn(console, 'warn').mockReturnValue()
		onTestFinished(() => told.mockRestore())
		expect(await opened(file, [1, 1, 1], { x: [2] })).toEqual([2, 3, 4])
		expect(told.mock.calls).toEqual([[expect.stringMatching(/odd\.onnx: opened for any shape, .*Incompatible dimensions/)]])
	})

	test('a graph of an opset whose operators are not those that are written is opened as it is', async () => {
		const file = await withWeights('old.onnx', 9, newNode('Mul', ['x', 'w'], 'phases'), newNode('Sin', ['phases'], 'y'))
		await expect(open(rewritten(file, [wholeSines])!)).rejects.toThrow('Slice')
		const told = vi.spyOn(console, 'warn').mockReturnValue()
		onTestFinished(() => told.mockRestore())
		expect(await opened(file, [1, 2, 3])).toEqual([1, 4, 9].map((phase) => expect.closeTo(Math.sin(phase), 6)))
		expect(told.mock.calls).toEqual([[expect.stringMatching(/old\.onnx: opened as it is, .*Slice/)]])
	})

	test('sines of a timestep that is multiplied by more than its frequencies, as Fourier’s, are found too', async () => {
		const [product, phases] = [newNode('Mul', ['x', 'w'], 'product'), newNode('Mul', ['product', 'x'], 'phases')]
		const file = await withWeights('fourier.onnx', 17, product, phases, newNode('Sin', ['phases'], 'y'))
		expect(placesIn(file, wholeSines)).toBe(1)
		expect(await opened(file, [1, 2, 3])).toEqual([1, 8, 27].map((phase) => expect.closeTo(Math.sin(phase), 6)))
	})

	test('what is added to a projection for each row, scaled by weights, is not taken for its bias', async () => {
		const nodes = [
			newNode('MatMul', ['x', 'W'], 'xW'),
			newNode('Mul', ['scale', 'xW'], 'scaled'),
			newNode('Add', ['xW', 'scaled'], 'sum'),
			newNode('Slice', ['sum', 'from', 'to', 'axis'], 'y')
		]
		const file = path.join(folder, 'scaled.onnx')
		const graph = {
			nodes: nodes.map(encoded),
			weights: [
				newWeights('W', FLOAT, [2, 4], floats(1, 2, 3, 4, 5, 6, 7, 8)),
				newWeights('scale', FLOAT, [4], floats(1, 2, 3, 4)),
				...Object.entries({ from: 0, to: 1, axis: -1 }).map(([name, number]) =>
					newWeights(name, INT64, [1], varintField(7, number))
				)
			],
			inputs: { x: { type: FLOAT, dims: ['rows', 2] } },
			outputs: { y: { type: FLOAT, dims: ['rows', 1] } }
		}
		await writeFile(file, newModel(graph))
		const session = await open(rewritten(file, [cutProjections]) ?? file)
		const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 0, 0, 1), [2, 2]) })
		expect(y!.dims).toEqual([2, 1])
		expect([...(y!.data as Float32Array)]).toEqual([2, 10])
	})

	test('a projection whose rows are split stays whole', async () => {
		const halves: NewNode = {
			operator: 'Split',
			inputs: ['sum'],
			outputs: ['upper', 'lower'],
			attributes: [attribute('axis', 0)]
		}
		const nodes = [
			newNode('MatMul', ['x', 'W'], 'xW'),
			newNode('Add', ['xW', 'b'], 'sum'),
			halves,
			newNode('Mul', ['upper', 'lower'], 'gated'),
			newNode('MatMul', ['gated', 'V'], 'y')
		]
		const file = path.join(folder, 'rows.onnx')
		const graph = {
			nodes: nodes.map(encoded),
			weights: [
				newWeights('W', FLOAT, [2, 4], floats(1, 2, 3, 4, 5, 6, 7, 8)),
				newWeights('b', FLOAT, [4], floats(0, 0, 0, 1)),
				newWeights('V', FLOAT, [4, 1], floats(1, 1, 1, 1))
			],
			inputs: { x: { type: FLOAT, dims: ['rows', 2] } },
			outputs: { y: { type: FLOAT, dims: ['half', 1] } }
		}
		await writeFile(file, newModel(graph))
		const session = await open(rewritten(file, [cutProjections]) ?? file)
		const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, 0, 0, 1), [2, 2]) })
		expect([...(y!.data as Float32Array)]).toEqual([1 * 5 + 2 * 6 + 3 * 7 + 5 * 9])
	})

	const floats = (...numbers: number[]) => bytesField(9, Buffer.from(Float32Array.from(numbers).buffer))

	/** x [n] and the weights w = [1, 2, 3] to y. */
	async function withWeights(name: string, opset: number, ...nodes: NewNode[]): Promise<string> {
		const raw = Buffer.from(Float32Array.of(1, 2, 3).buffer)
		const weight = Buffer.concat([varintField(1, 3), varintField(2, 1), bytesField(8, 'w'), bytesField(9, raw)])
		const graph = [
			...nodes.map((node) => bytesField(1, encoded(node))),
			bytesField(2, 'graph'),
			bytesField(5, weight),
			bytesField(11, declaration('x', { type: 1, dims: ['n'] })),
			bytesField(12, declaration('y', { type: 1, dims: ['n'] }))
		]
		const file = path.join(folder, name)
		const opsets = bytesField(8, varintField(2, opset))
		await writeFile(file, Buffer.concat([varintField(1, 8), bytesField(7, Buffer.concat(graph)), opsets]))
		return file
	}

	async function opened(file: string, given: readonly number[], shapes?: Shapes): Promise<number[]> {
		const session = await openSession(file, { ...(await chooseProvider('cpu', 1)), shapes }, () => {})
		const x = { type: 'float32', data: Float32Array.from(given), dims: [given.length] }
		const { outputs } = await session.run({ x }, ['y'], () => {})
		await session.release()
		return [...(outputs[0]!.data as Float32Array)]
	}
})

test('what is found, and what it gives, does not depend on the order of the nodes in the file', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const file = fileOf('models/scenes/unet')
	const changed = path.join(folder, 'model.onnx')
	const isLeftOut = bytesField(2, '')
	await writeFile(
		changed,
		withNodes(file, (nodes) => nodes.map((node) => Buffer.concat([node, isLeftOut])))
	)
	expect(strays(changed)).toEqual([])
	await writeFile(
		changed,
		withNodes(file, (nodes) => nodes.reverse())
	)
	expect(strays(changed)).toEqual([])
	const rewrites = [fusedAttention, cutProjections, phasedUpsampling, movedBiases]
	for (const rewrite of rewrites) {
		expect(placesIn(changed, rewrite)).toBe(placesIn(file, rewrite))
	}
	const [before, after] = [await open(file), await open(rewritten(changed, [...rewrites, sharedByBranches])!)]
	const feeds = await feedsOf(before)
	const rows = { [ROWS]: new Tensor('int64', BigInt64Array.from([0n, 1n, 2n]), [3]) }
	expect(apart(await answer(after, { ...feeds, ...rows }), await answer(before, feeds))).toBeLessThan(1e-5)
	await rm(folder, { recursive: true })
})

/** What nodes take before it is made. */
function strays(file: string): string[] {
	const { nodes } = new Graph(file)
	const coming = new Set(nodes.flatMap(({ outputs }) => outputs.filter((name) => name !== '')))
	return nodes.flatMap(({ inputs, outputs }) => {
		const early = inputs.filter((name) => coming.has(name))
		for (const name of outputs) {
			coming.delete(name)
		}
		return early
	})
}

/** `change` is given what each NodeProto holds. */
function withNodes(file: string, change: (nodes: Buffer[]) => Buffer[]): Buffer {
	const proto = new ProtobufFile(file)
	const bytes = ({ start, to }: Field) => proto.bytes(start, to)
	const graph = [...proto.fields()].find(({ number }) => number === 7)!
	const inside = [...proto.fields(graph.from, graph.to)]
	const nodes = inside.filter(({ number }) => number === 1).map(({ from, to }) => proto.bytes(from, to))
	const rest = inside.filter(({ number }) => number !== 1).map(bytes)
	const whole = Buffer.concat([
		...[...proto.fields()].filter((field) => field.number !== 7).map(bytes),
		bytesField(7, Buffer.concat([...change(nodes).map((node) => bytesField(1, node)), ...rest]))
	])
	proto.close()
	return whole
}

test('what was rewritten is gone', () => {
	const whole = rewritten(fileOf('models/scenes/unet'), [fusedAttention, cutProjections, phasedUpsampling])!.toString('latin1')
	expect(
		['Softmax', 'Resize'].filter((operator) => whole.includes(`\x22${String.fromCharCode(operator.length)}${operator}`))
	).toEqual([])
})

test.each([
	['golden/imports/text_encoder', 'has a mask'],
	['golden/scalar-timestep/unet', 'has nothing of the kind'],
	['golden/paper/spatial_rescaler', 'resizes otherwise']
])('%s, which %s, stays as it is', (part) => {
	expect(rewritten(fileOf(part), [fusedAttention, cutProjections, phasedUpsampling])).toBeUndefined()
})

/** What a CPU has in the place of CUDA's convolution. */
const spelledOut: Rewrite = (graph) =>
	new Map(
		graph.nodes
			.filter(({ operator }) => operator === `${MICROSOFT}.NhwcConv`)
			.map((node) => {
				const [x = '', weights = '', ...bias] = node.inputs
				const [out = ''] = node.outputs
				const turned = (from: string, to: string, ...perm: number[]) =>
					newNode('Transpose', [from], to, [attribute('perm', perm)])
				const conv = {
					...graph.copyOf(node),
					operator: 'Conv',
					inputs: ['x', 'W'].map((name) => `${out}/nchw/${name}`).concat(bias)
				}
				return [
					node,
					[
						turned(x, `${out}/nchw/x`, 0, 3, 1, 2),
						turned(weights, `${out}/nchw/W`, 0, 3, 1, 2),
						{ ...conv, outputs: [`${out}/nchw`] },
						turned(`${out}/nchw`, out, 0, 2, 3, 1)
					]
				]
			})
	)

test.each([
	['float32', [], 1e-5],
	['float32', ['Cast'], 1e-5],
	['float16', ['Cast'], 2e-3]
] as const)(
	"upsampling before CUDA's convolution, of weights in %s, after %j, is found, and gives the same",
	async (type, before, most) => {
		const [number, Values] = type === 'float16' ? [10, Float16Array] : [1, Float32Array]
		const tensor = (
			name: string,
			dims: readonly number[],
			values: ArrayLike<number>,
			as = number,
			of: typeof Values = Values
		) => {
			const raw = Buffer.from(of.from(values).buffer)
			const sizes = dims.map((dim) => varintField(1, dim))
			return bytesField(5, Buffer.concat([...sizes, varintField(2, as), bytesField(8, name), bytesField(9, raw)]))
		}
		const text = (name: string, value: string) => Buffer.concat([bytesField(1, name), bytesField(4, value), varintField(20, 3)])
		const to = attribute('to', number)
		const nodes = [
			newNode('Resize', ['x', '', 'scales'], 'doubled', [
				text('mode', 'nearest'),
				text('coordinate_transformation_mode', 'asymmetric'),
				text('nearest_mode', 'floor')
			]),
			newNode('Transpose', ['doubled'], before.length > 0 ? 'turned' : 'image', [attribute('perm', [0, 2, 3, 1])]),
			...before.map((operator) => newNode(operator, ['turned'], 'image', [to])),
			newNode(`${MICROSOFT}.NhwcConv`, ['image', 'W', 'b'], 'y', [
				attribute('pads', [1, 1, 1, 1]),
				attribute('kernel_shape', [3, 3])
			])
		]
		const graph = [
			...nodes.map((node) => bytesField(1, encoded(node))),
			tensor('W', [5, 3, 3, 4], generator(1).normal([180]).data),
			tensor('b', [5], generator(2).normal([5]).data),
			tensor('scales', [4], [1, 1, 2, 2], 1, Float32Array),
			bytesField(11, declaration('x', { type: 1, dims: ['batch', 4, 'height', 'width'] })),
			bytesField(12, declaration('y', { type: number, dims: ['batch', 'tall', 'wide', 5] }))
		]
		const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
		const file = path.join(folder, 'model.onnx')
		const opsets = [
			bytesField(8, varintField(2, 17)),
			bytesField(8, Buffer.concat([bytesField(1, MICROSOFT), varintField(2, 1)]))
		]
		await writeFile(file, Buffer.concat([varintField(1, 8), bytesField(7, Buffer.concat(graph)), ...opsets]))
		const expected = await open(rewritten(file, [spelledOut])!)
		expect(placesIn(file, phasedUpsampling)).toBe(1)
		await writeFile(file, rewritten(file, [phasedUpsampling])!)
		const got = await open(rewritten(file, [spelledOut])!)
		const { data } = generator(3).normal([2, 4, 6, 7])
		const x = new Tensor('float32', data, [2, 4, 6, 7])
		const answers = await Promise.all([got, expected].map(async (session) => (await session.run({ x })).y!))
		expect(answers[0]!.dims).toEqual([2, 12, 14, 5])
		const [one, other] = answers.map(({ data }) => Float32Array.from(data as Float32Array))
		expect(apart(one!, other!)).toBeLessThan(most)
		await rm(folder, { recursive: true })
	}
)

// No CPU runs SkipGroupNorm: what is written is compared, not what it gives.
test.each([
	[[['NhwcConv', 'W1', 'b1']], '', ['b1']],
	[
		[
			['NhwcConv', 'W1', 'b1'],
			['NhwcConv', 'W2', 'b2']
		],
		'own',
		['own', 'b1', 'b2']
	],
	// Its channels are another axis.
	[[['Conv', 'W1', 'b1']], 'own', ['own']],
	[[['NhwcConv', 'W1']], 'own', ['own']]
])('of %j biases go into the SkipGroupNorm after them, beside its %j', async (convs, own, biases) => {
	const node = (operator: string, inputs: readonly string[], output: string) => {
		const from = inputs.map((name) => bytesField(1, name))
		const domain = operator === 'Conv' ? '' : MICROSOFT
		return bytesField(1, Buffer.concat([...from, bytesField(2, output), bytesField(4, operator), bytesField(7, domain)]))
	}
	const weight = (name: string, dims: readonly number[]) =>
		bytesField(5, Buffer.concat([...dims.map((dim) => varintField(1, dim)), varintField(2, 1), bytesField(8, name)]))
	const named = (field: number, name: string) => bytesField(field, bytesField(1, name))
	const [x, skip = 'skip'] = convs.map((_, i) => `y${i + 1}`)
	const graph = [
		...convs.map(([operator, ...weights], i) => node(operator!, ['x', ...weights], `y${i + 1}`)),
		node('SkipGroupNorm', [x!, 'scale', 'shift', skip, ...(own ? [own] : [])], 'out'),
		...convs.flatMap(([, kernel, bias]) => [weight(kernel!, [4, 3, 3, 2]), ...(bias ? [weight(bias, [4])] : [])]),
		...['x', 'skip', 'scale', 'shift', 'own'].map((name) => named(11, name)),
		named(12, 'out')
	]
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const file = path.join(folder, 'model.onnx')
	await writeFile(file, bytesField(7, Buffer.concat(graph)))
	const changed = rewritten(file, [movedBiases])
	expect(changed !== undefined).toBe(biases.join() !== own)
	await writeFile(file, changed ?? bytesField(7, Buffer.concat(graph)))
	const { nodes, maker } = new Graph(file)
	/** What a bias is the sum of. */
	const summands = (name: string): string[] => {
		const made = maker.get(name)
		return made?.operator === 'Add' ? made.inputs.flatMap(summands) : [name]
	}
	const norm = nodes.at(-1)!
	expect(norm.inputs.slice(0, 4)).toEqual([x, 'scale', 'shift', skip])
	expect(summands(norm.inputs[4]!)).toEqual(biases)
	for (const conv of nodes.filter(({ operator }) => operator.endsWith('NhwcConv'))) {
		expect(conv.inputs).toHaveLength(2)
	}
	await rm(folder, { recursive: true })
})
