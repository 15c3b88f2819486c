import { InferenceSession } from 'onnxruntime-node'
import { newModel } from '../../worker-gpu/golden/new-model.ts'
import { attribute, encoded, newNode } from '../../worker-gpu/onnx/new-node.ts'
import { bytesField, floatField, varintField } from '../../worker-gpu/onnx/protobuf.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'

const PRODUCTS = 16

/** What the stage that measures it calls it. */
export const MATRIX_PEAK = 'the matrix peak: products of half precision, one after the other'

/** Operations a second of products of square matrices in half precision (float32 on the CPU), random and one after the other, with nothing copied in between. */
export async function matrixPeak({ name, sessionOptions }: Provider, side: number): Promise<number> {
	const session = await InferenceSession.create(products(side, name === 'cuda' ? 10 : 1), sessionOptions)
	let fastest = Number.POSITIVE_INFINITY
	for (let i = 0; i < 4; i++) {
		const began = performance.now()
		await session.run({})
		fastest = Math.min(fastest, performance.now() - began)
	}
	await session.release()
	return (PRODUCTS * 2 * side ** 3) / (fastest / 1000)
}

/** y = mean(A¹⁷), A random with the variance 1 / side, so that its powers stay as large as it is. */
function products(side: number, type: number): Buffer {
	const scale = Buffer.concat([bytesField(1, 'scale'), floatField(2, side ** -0.5), varintField(20, 1)])
	const nodes = [
		newNode('RandomNormal', [], 'a1', [attribute('dtype', type), attribute('shape', [side, side]), scale]),
		...Array.from({ length: PRODUCTS }, (_, i) => newNode('MatMul', ['a1', `a${i + 1}`], `a${i + 2}`)),
		newNode('ReduceMean', [`a${PRODUCTS + 1}`], 'y', [attribute('keepdims', 0)])
	]
	return newModel({ nodes: nodes.map(encoded), outputs: { y: { type, dims: [] } } })
}
