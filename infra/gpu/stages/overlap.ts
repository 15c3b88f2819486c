import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { root } from '../../../test/root.ts'
import { newModel, newWeights } from '../../../worker-gpu/golden/new-model.ts'
import golden from '../../../worker-gpu/golden/paper.json' with { type: 'json' }
import { drawingOf, type Golden, open } from '../../../worker-gpu/golden/pipelines.ts'
import { planFor } from '../../../worker-gpu/ldm/checkpoint.ts'
import { generator } from '../../../worker-gpu/ldm/noise.ts'
import { FLOAT } from '../../../worker-gpu/onnx/graph.ts'
import { attribute, encoded, newNode } from '../../../worker-gpu/onnx/new-node.ts'
import { bytesField } from '../../../worker-gpu/onnx/protobuf.ts'
import { asOnCuda, chooseProvider, type Provider } from '../../../worker-gpu/onnx/provider.ts'
import { drawTogether } from '../drawing.ts'
import type { Options } from '../main.ts'
import { loadModel, type Measured } from '../models.ts'
import type { Report } from '../results.ts'

const TURNS = 3
/** Channels of the network that stands for LDM-4's where there is no GPU: few enough for one core to be about as quick as a GPU with the other one. */
const WIDTH = 32

/** Of how many of the pictures a call is, and in whose thread. */
const WAYS = [
	{ ownThread: false, calls: 1, what: "sessions in the engine's thread" },
	{ ownThread: true, calls: 1, what: 'sessions in a thread of their own' },
	{ ownThread: true, calls: 2, what: 'sessions in a thread of their own, two calls in turn' }
]

/**
 * What the engine's work between two calls costs, with sessions in its own thread and in one of theirs: LDM-4's latents of 3 × 64 × 64, which are much to
 * advance for what the network has to do.
 */
export async function overlap({ provider: choice, quick }: Options, report: Report): Promise<void> {
	const real = choice === 'cuda' && !quick
	const pictures = quick ? 4 : 128
	const provider = asOnCuda(await chooseProvider(choice, real ? undefined : 1))
	const drawing = { width: 256, height: 256, steps: quick ? 2 : 30, image: generator(0).normal([3, 64, 64]) }
	for (const { ownThread, calls, what: how } of WAYS) {
		const way = { ...provider, ownThread }
		const model = real ? await loadModel('ldm-4-sr', way, 'real') : await narrow(way)
		const light = pictures / calls
		const drawn = []
		for (let turn = 0; turn < TURNS; turn++) {
			drawn.push(await drawTogether(model, pictures, way, { ...drawing, light }))
		}
		// In the first one every shape is planned.
		const { ms, inferenceMs, hostShare, hostMs } = drawn.reduce((one, other) => (other.ms < one.ms ? other : one))
		const what = `${pictures} at once, ${how}`
		const eachStep = `${(hostMs / drawing.steps).toFixed(1)} ms a step`
		await report(`${what}: share of the time in which no call runs`, `${(100 * hostShare).toFixed(1)} %, ${eachStep}`)
		await report(
			`${what}: seconds, and of these in calls of the U-Net`,
			`${(ms / 1000).toFixed(2)}, ${(inferenceMs / 1000).toFixed(2)}`
		)
		await model.release()
	}
}

/** The golden files' super-resolution with another U-Net, of two convolutions. */
async function narrow(provider: Provider): Promise<Omit<Measured, 'operations' | 'batches'>> {
	const { models, drawn } = golden as unknown as Golden
	const model = models['super-resolution']!
	const { request } = drawn.find((one) => one.model === 'super-resolution')!
	const unet = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		await cp(path.join(root, 'worker-gpu/golden', model.parts.unet!, 'config.json'), path.join(unet, 'config.json'))
		await writeFile(path.join(unet, 'model.onnx'), twoConvolutions())
		const stopwatch = { milliseconds: 0 }
		const checkpoint = await open({ ...model, parts: { ...model.parts, unet } }, provider, stopwatch)
		const drawing = drawingOf(request)
		return {
			stopwatch,
			drawing,
			// What is decoded at the end is not what is asked here, and takes the CPU longer than all before.
			plan: async (fields) => ({ ...(await planFor(checkpoint, { ...drawing, ...fields })), finish: async ({ x }) => x }),
			async release() {}
		}
	} finally {
		await rm(unet, { recursive: true })
	}
}

/** A model.onnx: [B, 6, h, w] → [B, 3, h, w]. */
function twoConvolutions(): Buffer {
	const weights = (name: string, dims: readonly number[]) => {
		const numbers = generator(1)
			.normal(dims)
			.data.map((value) => value / Math.sqrt(9 * dims[1]!))
		return newWeights(name, FLOAT, dims, bytesField(9, Buffer.from(numbers.buffer)))
	}
	const convolution = (x: string, w: string, y: string) => encoded(newNode('Conv', [x, w], y, [attribute('pads', [1, 1, 1, 1])]))
	return newModel({
		nodes: [convolution('sample', 'v', 'hidden'), convolution('hidden', 'w', 'out_sample')],
		weights: [weights('v', [WIDTH, 6, 3, 3]), weights('w', [3, WIDTH, 3, 3])],
		inputs: { sample: { type: FLOAT, dims: ['batch', 6, 'height', 'width'] }, timestep: { type: FLOAT, dims: ['batch'] } },
		outputs: { out_sample: { type: FLOAT, dims: ['batch', 3, 'height', 'width'] } }
	})
}
