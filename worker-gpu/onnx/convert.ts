import { fromHalf, toHalf } from './half.ts'
import type { Values } from './session.ts'
import type { Tensor } from './tensor.ts'

/** Numbers on their way into a graph, whatever type it takes them in; a Uint16Array holds the bits of halves, for one that takes those. */
export interface Feed {
	readonly data: ArrayLike<number>
	readonly dims: readonly number[]
}

/** `feed` in the type that a graph declares. @param input what errors name */
export function toValues({ data, dims }: Feed, type: string, input: string): Values {
	switch (type) {
		case 'float32':
			return { type, data: data instanceof Float32Array ? data : Float32Array.from(data), dims }
		case 'float16':
			return { type, data: data instanceof Uint16Array ? data : toHalf(data), dims }
		case 'int32':
			return { type, data: Int32Array.from(data), dims }
		case 'int64':
			return { type, data: BigInt64Array.from(data as readonly number[], BigInt), dims }
		default:
			throw new TypeError(`${input}: expected float32, float16, int32 or int64, got ${type}`)
	}
}

/** A graph's output as float32. */
export function fromValues({ type, data, dims }: Values): Tensor {
	switch (type) {
		case 'float32':
			return { data: data as Float32Array, dims }
		case 'float16':
			return { data: fromHalf(data as Uint16Array), dims }
		default:
			throw new TypeError(`expected a graph output of float32 or float16, got ${type}`)
	}
}
