import { existsSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { assertFinite } from '../../onnx/finite.ts'
import { ModelError } from '../../onnx/model-error.ts'
import type { Part } from '../../onnx/part.ts'
import { unstack } from '../../onnx/rows.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import type { ModelFolder } from '../model-folder.ts'
import type { Pause } from '../pause.ts'
import { loadTokenizer, type Tokenize } from './tokenizer.ts'

/** A text encoder with a tokenizer of its own. */
export interface Reader {
	readonly encoder: Part
	readonly tokenize: Tokenize
	/** What it made of the latest texts, by text and outputs; the one that was asked for last comes last. */
	readonly latest: Map<string, readonly Tensor[]>
}

/** Texts that are remembered: what many pictures are to be kept away from is one text, often an empty one. T5 makes up to 8 MB of each. */
const REMEMBERED = 4

/**
 * `text_encoder` and `tokenizer` of a model, or those that follow: '_2', '_3'.
 *
 * @param length see `loadTokenizer`
 * @param part the encoder's folder, where it is called otherwise
 */
export async function loadReader(
	folder: ModelFolder,
	number: '' | '_2' | '_3' = '',
	length?: number,
	part = `text_encoder${number}`
): Promise<Reader> {
	const encoder = await folder.part(part)
	const tokenizer = folder.at(`tokenizer${number}`)
	const config = path.join(encoder.folder, 'config.json')
	const { max_position_embeddings: places, vocab_size: known } = existsSync(config) ? await readConfig(config, Sizes) : {}
	const tokenize = await loadTokenizer(tokenizer, length, known ?? undefined)
	const tokens = tokenize('').ids.length
	if (places != null && tokens > places) {
		throw length === undefined
			? new ModelError(
					path.join(tokenizer, 'tokenizer_config.json'),
					`model_max_length: expected at most ${places}, max_position_embeddings of ${part}, got ${tokens}`
				)
			: new ModelError(
					config,
					`max_position_embeddings: expected at least ${length}, as many tokens as it is given, got ${places}`
				)
	}
	return { encoder, tokenize, latest: new Map() }
}

/** Places are CLIP's and BERT's; T5 knows none, only distances. With more tokens the reference raises an error, and a graph adds what does not fit. */
const Sizes = z.object({ max_position_embeddings: z.int().nullish(), vocab_size: z.int().nullish() })

/**
 * What the encoder makes of a text, without the batch axis: [L, D], [D]. Texts run one at a time, so company cannot change their bits.
 *
 * @param pause before it runs, which it need not for a text that it remembers
 */
export async function read(
	{ encoder, tokenize, latest }: Reader,
	text: string,
	outputs: readonly string[],
	pause?: Pause
): Promise<readonly Tensor[]> {
	const key = JSON.stringify([text, ...outputs])
	if (!latest.has(key)) {
		await pause?.()
	}
	const rows = latest.get(key) ?? (await run()) // Another may have asked for it meanwhile.
	latest.delete(key)
	latest.set(key, rows)
	const [oldest] = latest.keys()
	if (latest.size > REMEMBERED) {
		latest.delete(oldest!)
	}
	return rows

	async function run() {
		const { ids } = tokenize(text)
		const batches = await encoder.run({ input_ids: { data: ids, dims: [1, ids.length] } }, outputs)
		return batches.map((batch, i) => {
			const [row] = unstack(batch)
			assertFinite(row!, `${outputs[i]} of ${path.basename(encoder.folder)}`)
			return row!
		})
	}
}
