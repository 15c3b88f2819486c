import { InferenceSession } from 'onnxruntime-node'
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

/** y = mean(A¹⁷), A random with the variance 1 / side, so that its powers stay as large as it is. By the field numbers of onnx.proto. */
function products(side: number, type: number): Buffer {
	const node = (operator: string, inputs: string[], output: string, attributes: Buffer[] = []) => {
		const names = [...inputs.map((name) => bytesField(1, name)), bytesField(2, output), bytesField(4, operator)]
		return bytesField(1, Buffer.concat([...names, ...attributes.map((attribute) => bytesField(5, attribute))]))
	}
	const whole = (name: string, value: number) => Buffer.concat([bytesField(1, name), varintField(3, value), varintField(20, 2)])
	const square = Buffer.concat([bytesField(1, 'shape'), varintField(8, side), varintField(8, side), varintField(20, 7)])
	const scale = Buffer.concat([bytesField(1, 'scale'), floatField(2, side ** -0.5), varintField(20, 1)])
	const scalar = Buffer.concat([varintField(1, type), bytesField(2, '')])
	const graph = Buffer.concat([
		node('RandomNormal', [], 'a1', [whole('dtype', type), square, scale]),
		...Array.from({ length: PRODUCTS }, (_, i) => node('MatMul', ['a1', `a${i + 1}`], `a${i + 2}`)),
		node('ReduceMean', [`a${PRODUCTS + 1}`], 'y', [whole('keepdims', 0)]),
		bytesField(2, 'products'),
		bytesField(12, Buffer.concat([bytesField(1, 'y'), bytesField(2, bytesField(1, scalar))]))
	])
	return Buffer.concat([varintField(1, 8), bytesField(8, varintField(2, 17)), bytesField(7, graph)])
}
