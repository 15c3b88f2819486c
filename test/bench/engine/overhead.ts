import path from 'node:path'
import { InferenceSession, type Tensor as OrtTensor } from 'onnxruntime-node'
import { createBatcher } from '../../../worker-gpu/engine/batcher.ts'
import { measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import { toOrt } from '../../../worker-gpu/onnx/convert.ts'
import { median } from '../statistics.ts'
import { type Model, scenesFolder } from './model.ts'

/**
 * Wall time of the batcher at steady load, over that of the same calls of the same graphs with inputs that lie ready: what samplers, guidance,
 * noise, stacking and choosing cost. They take turns, so that what else the machine does hits both.
 */
export async function overhead(model: Model, limit: number, rounds: number): Promise<number> {
	const replay = await bareCalls(model, limit)
	const ratios: number[] = []
	for (let round = -1; round < rounds; round++) {
		const began = performance.now()
		const sizes = await steadyLoad(model, limit)
		const developed = performance.now() - began
		const bare = await replay(sizes)
		if (round >= 0) {
			ratios.push(developed / bare) // The first one warms up.
		}
	}
	return median(ratios)
}

const pictures = 8
const never = new AbortController().signal

/** Eight guided pictures of 25 steps; gives the sizes of the calls. */
async function steadyLoad({ plan, stopwatch }: Model, limit: number): Promise<number[]> {
	const sizes: number[] = []
	const batcher = createBatcher({
		limits: measuredLimits({ guessPositions: limit * 16 ** 2, measure: false }),
		inferenceMs: () => stopwatch.milliseconds,
		onTick: ({ size }) => sizes.push(size)
	})
	await Promise.all(
		Array.from({ length: pictures }, (_, seed) =>
			batcher.develop({
				prepare: () => plan({}),
				pictures: [{ n: 0, seed }],
				signal: never,
				onProgress() {},
				onPicture() {}
			})
		)
	)
	return sizes
}

/** Runs calls of these sizes, and the texts and decodings of as many pictures. Gives milliseconds. */
async function bareCalls({ provider }: Model, limit: number): Promise<(sizes: readonly number[]) => Promise<number>> {
	const load = (part: string) => InferenceSession.create(path.join(scenesFolder, part, 'model.onnx'), provider.sessionOptions)
	const [text, unet, decoder] = await Promise.all(['text_encoder', 'unet', 'vae_decoder'].map(load))
	const inputs = (session: InferenceSession, batch: number) =>
		Object.fromEntries(
			session.inputMetadata.map((input) => {
				const { name, type, shape } = input as InferenceSession.TensorValueMetadata
				// Free dimensions: the batch, 16 × 16 latents, and 32 tokens of what is read.
				const free = { encoder_hidden_states: 32, input_ids: 32 }[name] ?? 16
				const dims = shape.map((size, i) => (i === 0 ? batch : typeof size === 'number' && size > 0 ? size : free))
				// Ones like a latent's: of zeros, many kernels would make subnormal numbers, which are slow.
				const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, at) =>
					name === 'input_ids' ? 1 : Math.sin(at)
				)
				return [name, toOrt({ data, dims }, type)]
			})
		)
	const feeds = Array.from({ length: limit + 1 }, (_, size) => inputs(unet!, Math.max(2, size)))
	const [words, latent] = [inputs(text!, 1), inputs(decoder!, 1)]
	return async (sizes) => {
		const began = performance.now()
		for (let i = 0; i < 2 * pictures; i++) {
			await text!.run(words)
		}
		for (const size of sizes) {
			await unet!.run(feeds[size] as Record<string, OrtTensor>)
		}
		for (let i = 0; i < pictures; i++) {
			await decoder!.run(latent)
		}
		return performance.now() - began
	}
}
