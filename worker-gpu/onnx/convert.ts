import { Tensor as OrtTensor } from 'onnxruntime-node'
import { fromHalf, toHalf } from './half.ts'
import type { Tensor } from './tensor.ts'

/** Numbers on their way into a graph, whatever type it takes them in; a Uint16Array holds the bits of halves, for one that takes those. */
export interface Feed {
	readonly data: ArrayLike<number>
	readonly dims: readonly number[]
}

/** `feed` as a tensor of the type that a graph declares. */
export function toOrt({ data, dims }: Feed, type: string): OrtTensor {
	switch (type) {
		case 'float32':
			return new OrtTensor('float32', data instanceof Float32Array ? data : Float32Array.from(data), dims)
		case 'float16':
			return half(data instanceof Uint16Array ? data : toHalf(data), dims)
		case 'int32':
			return new OrtTensor('int32', Int32Array.from(data), dims)
		case 'int64':
			return new OrtTensor('int64', BigInt64Array.from(data as readonly number[], BigInt), dims)
		default:
			throw new TypeError(`expected a graph input of float32, float16, int32 or int64, got ${type}`)
	}
}

/**
 * Where JavaScript has Float16Array, a tensor's data becomes one, whose length ONNX Runtime 1.30 takes for 0 ("not enough space:
 * expected 128, got 0", microsoft/onnxruntime#32323). It reads the bits from a Uint16Array.
 */
function half(bits: Uint16Array, dims: readonly number[]): OrtTensor {
	return Object.defineProperty(new OrtTensor('float16', bits, dims), 'data', { value: bits })
}

/** A graph's output as float32. */
export function fromOrt({ type, data, dims }: OrtTensor): Tensor {
	switch (type) {
		case 'float32':
			return { data: data as Float32Array, dims }
		case 'float16':
			return { data: fromHalf(data as Uint16Array), dims }
		default:
			throw new TypeError(`expected a graph output of float32 or float16, got ${type}`)
	}
}
