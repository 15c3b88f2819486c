import { ModelError } from '../../onnx/model-error.ts'
import { port } from '../../onnx/part.ts'
import { concatenate, type Tensor } from '../../onnx/tensor.ts'
import type { Conditioner, Text } from './conditioner.ts'
import { type Reader, read } from './reader.ts'
import { penultimate } from './text-pair.ts'

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
			const [hidden, summary] = await read(first, told, [penultimate(first.encoder), 'text_embeds'], pause)
			const [also, another] = await read(second, told, [penultimate(second.encoder), 'text_embeds'], pause)
			const [sentences] = third ? await read(third, told, ['last_hidden_state'], pause) : [nothing(length, width)]
			if (third && sentences!.dims[1] !== width) {
				const expected = `expected hidden states that are ${width} wide, as joint_attention_dim says`
				throw new ModelError(third.encoder.folder, `${expected}, got ${sentences!.dims[1]}`)
			}
			const words = widened(concatenate([hidden!, also!], 1), width, second.encoder.folder)
			return {
				encoder_hidden_states: concatenate([words, sentences!], 0), // [L + L′, width]
				pooled_projections: concatenate([summary!, another!], 0)
			}
		},
		// T5 reads three times as much as CLIP.
		cutOff: ({ text }) => (third ?? first).tokenize(text ?? '').cutOff
	}
}

const nothing = (length: number, width: number): Tensor => ({ data: new Float32Array(length * width), dims: [length, width] })

/** [L, D] → [L, width], with zeros. */
function widened(hidden: Tensor, width: number, folder: string): Tensor {
	const [length, own] = hidden.dims as [number, number]
	if (own > width) {
		throw new ModelError(
			folder,
			`expected hidden states that are ${width} wide at most with those of the first encoder, got ${own}`
		)
	}
	return concatenate([hidden, nothing(length, width - own)], 1)
}
