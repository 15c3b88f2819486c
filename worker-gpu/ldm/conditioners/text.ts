import { port } from '../../onnx/part.ts'
import type { Conditioner, Text } from './conditioner.ts'
import { type Reader, read } from './reader.ts'

/** A text encoder whose last hidden states the U-Net attends to. */
export function text(reader: Reader): Conditioner<Text> {
	port(reader.encoder, 'inputs', 'input_ids')
	port(reader.encoder, 'outputs', 'last_hidden_state')
	return {
		async encode({ text }, pause) {
			const [hidden] = await read(reader, text ?? '', ['last_hidden_state'], pause) // [L, D]
			return { encoder_hidden_states: hidden! }
		},
		cutOff: ({ text }) => reader.tokenize(text ?? '').cutOff
	}
}
