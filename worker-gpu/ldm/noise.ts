import { type Tensor, volume } from '../onnx/tensor.ts'
import { boxMullerBlock } from './noise-block.ts'

/**
 * Gaussian noise, bit for bit that of `torch.Generator("cpu").manual_seed(seed)` followed by `torch.randn(dims, generator)`,
 * so that a seed draws the picture here that it draws in Python. Everything that the generator remembers is in `state`, plain
 * numbers that a checkpoint can carry.
 *
 * Two algorithms, as in torch's `normal_fill` (aten/src/ATen/native/cpu/DistributionTemplates.h): from 16 values on float32
 * Box–Muller in blocks of 16, below that one double at a time, the second normal of a pair kept for the next call.
 */
export interface Generator {
	readonly state: GeneratorState
	normal(dims: readonly number[]): Tensor
}

export interface GeneratorState {
	/** MT19937's 624 words. */
	words: Uint32Array
	/** The next word to hand out; 624 means that a new generation of words is due. */
	index: number
	/** The second normal of the last double-precision pair, not yet handed out. */
	cached: number | null
}

export function generator(seedOrState: number | GeneratorState): Generator {
	const state = typeof seedOrState === 'number' ? seeded(seedOrState) : seedOrState
	return {
		state,
		normal(dims) {
			const data = new Float32Array(volume(dims))
			if (data.length >= 16) {
				fillBlocks(state, data)
			} else {
				for (let i = 0; i < data.length; i++) {
					data[i] = oneNormal(state)
				}
			}
			return { data, dims }
		}
	}
}

function fillBlocks(state: GeneratorState, data: Float32Array): void {
	fillUniform(state, data, 0)
	for (let i = 0; i + 16 <= data.length; i += 16) {
		boxMullerBlock(data, i)
	}
	if (data.length % 16 !== 0) {
		// torch draws the last 16 values once more rather than handle a short block.
		fillUniform(state, data, data.length - 16)
		boxMullerBlock(data, data.length - 16)
	}
}

function fillUniform(state: GeneratorState, data: Float32Array, from: number): void {
	for (let i = from; i < data.length; i++) {
		data[i] = (nextWord(state) & 0xff_ffff) * 2 ** -24
	}
}

/** at::normal_distribution<double>: the pair is (r cos θ, r sin θ), the sine kept for the next call. */
function oneNormal(state: GeneratorState): number {
	if (state.cached !== null) {
		const kept = state.cached
		state.cached = null
		return kept
	}
	const theta = 2 * Math.PI * uniformDouble(state)
	const radius = Math.sqrt(-2 * Math.log1p(-uniformDouble(state)))
	state.cached = radius * Math.sin(theta)
	return radius * Math.cos(theta)
}

/** 53 bits of two words, the first one the higher. */
function uniformDouble(state: GeneratorState): number {
	const high = nextWord(state) & 0x1f_ffff
	return (high * 2 ** 32 + nextWord(state)) * 2 ** -53
}

// MT19937 (Matsumoto and Nishimura, 1998).

function seeded(seed: number): GeneratorState {
	if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff) {
		throw new RangeError(`seed: expected an integer from 0 to 4294967295, got ${seed}`)
	}
	const words = new Uint32Array(624)
	words[0] = seed
	for (let i = 1; i < 624; i++) {
		const previous = words[i - 1]!
		words[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i
	}
	return { words, index: 624, cached: null }
}

function nextWord(state: GeneratorState): number {
	if (state.index === 624) {
		twist(state.words)
		state.index = 0
	}
	let y = state.words[state.index++]!
	y ^= y >>> 11
	y ^= (y << 7) & 0x9d2c5680
	y ^= (y << 15) & 0xefc60000
	y ^= y >>> 18
	return y >>> 0
}

function twist(words: Uint32Array): void {
	for (let i = 0; i < 624; i++) {
		const mixed = (words[i]! & 0x80000000) | (words[(i + 1) % 624]! & 0x7fffffff)
		words[i] = words[(i + 397) % 624]! ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0)
	}
}
