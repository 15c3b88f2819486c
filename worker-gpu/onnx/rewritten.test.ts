import path from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { describe, expect, test } from 'vitest'
import { generator } from '../ldm/noise.ts'
import { withFusedAttention } from './attention.ts'

const fileOf = (part: string) => path.join(import.meta.dirname, '..', part, 'model.onnx')

/** Inputs of a graph, of odd sizes: what is free takes the size that its name has here. */
const sizes: Readonly<Record<string, number>> = { batch_size: 3, height: 8, width: 12, sequence_length: 5 }

async function feedsOf(session: InferenceSession): Promise<Record<string, Tensor>> {
	const feeds: Record<string, Tensor> = {}
	for (const [i, port] of session.inputMetadata.entries()) {
		const dims = port.isTensor ? port.shape.map((dim) => (typeof dim === 'number' ? dim : (sizes[dim] ?? 8))) : []
		feeds[port.name] = new Tensor('float32', generator(i).normal(dims).data, dims)
	}
	return feeds
}

const answer = async (session: InferenceSession, feeds: Record<string, Tensor>) =>
	(await session.run(feeds))[session.outputNames[0]!]!.data as Float32Array

describe.each([
	// Written out with heads in the batch, as the demo model's; torch's own, over graphs that were made plain before; of one head.
	['models/scenes/unet', 14],
	['golden/stable-diffusion/unet', 8],
	['golden/paper/unet-7', 4],
	['golden/first-stages/kl/vae_decoder', 1]
])('%s', (part, attentions) => {
	test('gives the same with its attention in one operator', async () => {
		const file = fileOf(part)
		const fused = withFusedAttention(file)!
		expect(fused.toString('latin1').split('/MultiHeadAttention').length - 1).toBe(attentions)
		expect(fused.includes('Softmax')).toBe(false)
		const [before, after] = [await InferenceSession.create(file), await InferenceSession.create(fused)]
		const feeds = await feedsOf(before)
		const [expected, got] = [await answer(before, feeds), await answer(after, feeds)]
		const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
		const apart = got.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
		expect(apart / largest).toBeLessThan(1e-5)
	})
})

test.each(['golden/imports/text_encoder', 'golden/scalar-timestep/unet'])(
	'%s, which has a mask or no attention, stays as it is',
	(part) => {
		expect(withFusedAttention(fileOf(part))).toBeUndefined()
	}
)
