import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { expect, test } from 'vitest'
import { newModel, newWeights } from '../../worker-gpu/golden/new-model.ts'
import { generator } from '../../worker-gpu/ldm/noise.ts'
import { FLOAT } from '../../worker-gpu/onnx/graph.ts'
import { encoded, newNode } from '../../worker-gpu/onnx/new-node.ts'
import { bytesField, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import { drawWeights } from './weights.ts'

const WIDTH = 64

test('draws matrices with which a graph loads, and answers as varied as what it is asked', async () => {
	const model = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		const folder = path.join(model, 'unet')
		await mkdir(folder)
		// The second one begins at the next multiple of 64.
		const matrices = [0, 4 * WIDTH ** 2 + 64].map((offset) => [offset, WIDTH ** 2, WIDTH ** -0.5])
		await writeFile(path.join(folder, 'weights.json'), JSON.stringify({ type: 'float', matrices, operations: null }))
		await writeFile(path.join(folder, 'model.onnx'), twoProducts(matrices.map(([offset]) => offset!)))
		await drawWeights(model)

		const session = await InferenceSession.create(path.join(folder, 'model.onnx'), { executionProviders: ['cpu'] })
		const x = new Tensor('float32', generator(1).normal([100, WIDTH]).data, [100, WIDTH])
		const y = (await session.run({ x })).y!.data as Float32Array
		await session.release()
		const deviation = Math.sqrt(y.reduce((sum, value) => sum + value ** 2, 0) / y.length)
		expect(deviation).toBeGreaterThan(0.8)
		expect(deviation).toBeLessThan(1.25)

		// Drawn once: a second run of the stages finds them.
		const drawn = await readFile(path.join(folder, 'weights'))
		await writeFile(path.join(folder, 'weights'), 'kept')
		await drawWeights(model)
		expect(drawn.length).toBe(8 * WIDTH ** 2 + 64)
		expect(await readFile(path.join(folder, 'weights'), 'utf8')).toBe('kept')
	} finally {
		await rm(model, { recursive: true })
	}
})

/** y = x A B, where A and B lie in the file `weights`. */
function twoProducts(offsets: readonly number[]): Buffer {
	const entry = (key: string, value: number | string) =>
		bytesField(13, Buffer.concat([bytesField(1, key), bytesField(2, `${value}`)]))
	const matrix = (name: string, offset: number) => {
		const place = [entry('location', 'weights'), entry('offset', offset), entry('length', 4 * WIDTH ** 2), varintField(14, 1)]
		return newWeights(name, FLOAT, [WIDTH, WIDTH], ...place)
	}
	const rows = { type: FLOAT, dims: ['rows', WIDTH] }
	return newModel({
		nodes: [newNode('MatMul', ['x', 'A'], 'xA'), newNode('MatMul', ['xA', 'B'], 'y')].map(encoded),
		weights: [matrix('A', offsets[0]!), matrix('B', offsets[1]!)],
		inputs: { x: rows },
		outputs: { y: rows }
	})
}
