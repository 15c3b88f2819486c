import path from 'node:path'
import { assertFinite } from '../../onnx/finite.ts'
import type { Part } from '../../onnx/part.ts'
import { unstack } from '../../onnx/rows.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import type { ModelFolder } from '../model-folder.ts'
import { loadTokenizer, type Tokenize } from './tokenizer.ts'

/** A text encoder with a tokenizer of its own. */
export interface Reader {
	readonly encoder: Part
	readonly tokenize: Tokenize
}

/**
 * `text_encoder` and `tokenizer` of a model, or those that follow: '_2', '_3'.
 *
 * @param length see `loadTokenizer`
 */
export const loadReader = async (folder: ModelFolder, number: '' | '_2' | '_3' = '', length?: number): Promise<Reader> => ({
	encoder: await folder.part(`text_encoder${number}`),
	tokenize: await loadTokenizer(folder.at(`tokenizer${number}`), length)
})

/** What the encoder makes of a text, without the batch axis: [L, D], [D]. Texts run one at a time, so company cannot change their bits. */
export async function read({ encoder, tokenize }: Reader, text: string, outputs: readonly string[]): Promise<Tensor[]> {
	const { ids } = tokenize(text)
	const batches = await encoder.run({ input_ids: { data: ids, dims: [1, ids.length] } }, outputs)
	return batches.map((batch, i) => {
		const [row] = unstack(batch)
		assertFinite(row!, `${outputs[i]} of ${path.basename(encoder.folder)}`)
		return row!
	})
}
