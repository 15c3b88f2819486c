import { port } from '../../onnx/part.ts'
import type { Conditioner, Text } from './conditioner.ts'
import { type Reader, read } from './reader.ts'

/**
 * FLUX's text encoders: the transformer attends to the last hidden states of T5, and is told CLIP's summary of the text. Of that, and not of the text, the end is lost
 * beyond what CLIP reads.
 */
export function textWithSummary(clip: Reader, t5: Reader): Conditioner<Text> {
	port(clip.encoder, 'outputs', 'pooler_output')
	port(t5.encoder, 'outputs', 'last_hidden_state')
	return {
		async encode({ text }, pause) {
			const [summary] = await read(clip, text ?? '', ['pooler_output'], pause) // [D]
			const [hidden] = await read(t5, text ?? '', ['last_hidden_state'], pause) // [L, D]
			return { encoder_hidden_states: hidden!, pooled_projections: summary! }
		},
		cutOff: ({ text }) => t5.tokenize(text ?? '').cutOff
	}
}
