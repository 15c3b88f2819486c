import { ModelError } from '../../onnx/model-error.ts'
import { port } from '../../onnx/part.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import type { Conditioner, Text } from './conditioner.ts'
import { type Reader, read } from './reader.ts'
import { penultimate, sideBySide } from './text-pair.ts'

export interface Readers {
	/** CLIP's, with projections. */
	readonly first: Reader
	readonly second: Reader
	/** T5's; where there is none, zeros stand in its place. */
	readonly third?: Reader | undefined
}

/**
 * Stable Diffusion 3's text encoders (Esser et al., 2024, appendix B.3): the transformer attends to the last but one hidden states of both of CLIP's, side by
 * side and filled up with zeros to the width of T5's, and after them to those of T5. It is told CLIP's summaries of the text.
 *
 * @param width of what is attended to
 * @param length tokens of T5's
 */
export function textTriple({ first, second, third }: Readers, width: number, length: number): Conditioner<Text> {
	for (const { encoder } of [first, second]) {
		port(encoder, 'outputs', 'text_embeds')
	}
	if (third) {
		port(third.encoder, 'outputs', 'last_hidden_state')
	}
	return {
		async encode({ text }, pause) {
			const told = text ?? ''
			await pause?.()
			const [hidden, summary] = await read(first, told, [penultimate(first.encoder), 'text_embeds'])
			await pause?.()
			const [also, another] = await read(second, told, [penultimate(second.encoder), 'text_embeds'])
			await pause?.()
			const [sentences] = third ? await read(third, told, ['last_hidden_state']) : [nothing(length, width)]
			return {
				encoder_hidden_states: stacked(widened(sideBySide(hidden!, also!), width, second.encoder.folder), sentences!),
				pooled_projections: { data: joined(summary!, another!), dims: [summary!.dims[0]! + another!.dims[0]!] }
			}
		},
		// T5 reads three times as much as CLIP.
		cutOff: ({ text }) => (third ?? first).tokenize(text ?? '').cutOff
	}
}

const nothing = (length: number, width: number): Tensor => ({ data: new Float32Array(length * width), dims: [length, width] })

/** [L, D] → [L, width], with zeros. */
function widened({ data, dims }: Tensor, width: number, folder: string): Tensor {
	const [length, own] = dims as [number, number]
	if (own > width) {
		throw new ModelError(
			folder,
			`expected hidden states that are ${width} wide at most with those of the first encoder, got ${own}`
		)
	}
	const wide = nothing(length, width)
	for (let i = 0; i < length; i++) {
		wide.data.set(data.subarray(i * own, (i + 1) * own), i * width)
	}
	return wide
}

/** [L, D] and [L', D] → [L + L', D] */
const stacked = (a: Tensor, b: Tensor): Tensor => ({ data: joined(a, b), dims: [a.dims[0]! + b.dims[0]!, a.dims[1]!] })

function joined(a: Tensor, b: Tensor): Float32Array {
	const data = new Float32Array(a.data.length + b.data.length)
	data.set(a.data)
	data.set(b.data, a.data.length)
	return data
}
