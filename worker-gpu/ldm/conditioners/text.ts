import { assertFinite } from '../../onnx/finite.ts'
import { type Part, port } from '../../onnx/part.ts'
import { unstack } from '../../onnx/rows.ts'
import type { Conditioner, Text } from './conditioner.ts'
import type { Tokenize } from './tokenizer.ts'

/** A text encoder whose last hidden states the U-Net attends to. Prompts run one at a time, so company cannot change their bits. */
export function text(encoder: Part, tokenize: Tokenize): Conditioner<Text> {
	port(encoder, 'inputs', 'input_ids')
	port(encoder, 'outputs', 'last_hidden_state')
	return {
		async encode({ text }, pause) {
			await pause?.()
			const { ids } = tokenize(text ?? '')
			const [hidden] = await encoder.run({ input_ids: { data: ids, dims: [1, ids.length] } }, ['last_hidden_state']) // [1, L, D]
			const [row] = unstack(hidden!)
			assertFinite(row!, 'last_hidden_state of text_encoder')
			return { encoder_hidden_states: row! }
		},
		cutOff: ({ text }) => tokenize(text ?? '').cutOff
	}
}
