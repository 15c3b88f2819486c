import path from 'node:path'
import { Tokenizer } from '@huggingface/tokenizers'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'

/** What we use of @huggingface/tokenizers, whose own types do not resolve under Node's module resolution. */
interface HuggingFaceTokenizer {
	encode(text: string, options?: { add_special_tokens: boolean }): { ids: number[] }
	token_to_id(token: string): number | undefined
}

/** A text to token ids, always as many as the text encoder was trained on: cut off or padded. */
export type Tokenize = (text: string) => number[]

const Token = z.union([z.string(), z.object({ content: z.string() }).transform(({ content }) => content)])
const Config = z.looseObject({
	/** transformers writes 1e30 where it is not known. */
	model_max_length: z.number().max(100_000).pipe(z.int().min(3)),
	pad_token: Token
})

/** `tokenizer.json` and `tokenizer_config.json` of a folder. Truncates and pads as transformers does with `padding="max_length"`. */
export async function loadTokenizer(folder: string): Promise<Tokenize> {
	const configFile = path.join(folder, 'tokenizer_config.json')
	const config = await readConfig(configFile, Config)
	const vocabulary = await readConfig(path.join(folder, 'tokenizer.json'), z.looseObject({}))
	const tokenizer: HuggingFaceTokenizer = new Tokenizer(vocabulary, config)
	const pad = tokenizer.token_to_id(config.pad_token)
	if (pad === undefined) {
		throw new ModelError(configFile, `expected a pad_token of the vocabulary, got ${JSON.stringify(config.pad_token)}`)
	}

	// What stands around every text, as [CLS] and [SEP] do: found by comparing no word with one word.
	const around = tokenizer.encode('').ids
	const oneWord = tokenizer.encode('a').ids
	const differ = around.findIndex((id, i) => id !== oneWord[i])
	const before = differ < 0 ? around : around.slice(0, differ)
	const after = around.slice(before.length)

	return (text) => {
		const words = tokenizer.encode(text, { add_special_tokens: false }).ids
		const ids = [...before, ...words.slice(0, config.model_max_length - around.length), ...after]
		return [...ids, ...Array<number>(config.model_max_length - ids.length).fill(pad)]
	}
}
