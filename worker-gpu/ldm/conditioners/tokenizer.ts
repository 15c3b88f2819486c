import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { type HuggingFaceTokenizer, Tokenizer } from './hugging-face.ts'
import { type AddedToken, readSpecialTokens } from './special-tokens.ts'
import { unigram } from './unigram.ts'
import { Normalizer, PreTokenizer } from './words.ts'

/** A text as the text encoder takes it. */
interface Tokens {
	/** Always as many as the text encoder was trained on: cut off or padded. */
	readonly ids: number[]
	/** The end of the text that did not fit, as the tokens say it; empty where all of it did. */
	readonly cutOff: string
}

export type Tokenize = (text: string) => Tokens

/** transformers' VERY_LARGE_INTEGER. */
const UNSET = 1e30

const Config = z.looseObject({
	model_max_length: z.number().optional(),
	tokenizer_class: z.string().nullish(),
	// What CLIP, BERT and T5 do. The other side would change the picture: better refused than ignored.
	padding_side: z.literal('right').default('right'),
	truncation_side: z.literal('right').default('right')
})

const Unigram = z.object({
	model: z
		.object({
			vocab: z.array(z.tuple([z.string(), z.number()])).min(1),
			unk_id: z.int().nonnegative(),
			byte_fallback: z.literal(false).default(false)
		})
		.refine(({ vocab, unk_id }) => unk_id < vocab.length, 'expected unk_id as the number of a piece of vocab')
})

const Vocabulary = z.looseObject({
	normalizer: Normalizer,
	pre_tokenizer: PreTokenizer,
	/** Files from before 2021 do not say the type. */
	model: z
		.looseObject({ type: z.enum(['BPE', 'WordPiece', 'Unigram']).optional(), merges: z.array(z.unknown()).optional() })
		.transform(({ type, merges }) => type ?? (merges ? 'BPE' : 'WordPiece')),
	added_tokens: z
		.array(
			z.object({
				id: z.int().nonnegative(),
				content: z.string().min(1),
				single_word: z.boolean(),
				lstrip: z.boolean(),
				rstrip: z.boolean(),
				normalized: z.boolean(),
				special: z.boolean()
			})
		)
		.default([])
})

/**
 * `tokenizer.json`, `tokenizer_config.json` and, where it is there, `special_tokens_map.json` of a folder. Gives the ids that transformers
 * gives for `padding="max_length", truncation=True`.
 *
 * @param length how many ids, where the pipeline says so (77 in LDM's text2im) and not the tokenizer (512 in BERT's)
 * @param known of how many ids the text encoder has embeddings
 */
export async function loadTokenizer(folder: string, length?: number, known = Infinity): Promise<Tokenize> {
	const configFile = path.join(folder, 'tokenizer_config.json')
	const vocabularyFile = path.join(folder, 'tokenizer.json')
	const config = await readConfig(configFile, Config)
	const json = await readConfig(vocabularyFile, z.looseObject({}))
	const { normalizer: normalise, pre_tokenizer: cut, model, added_tokens } = await readConfig(vocabularyFile, Vocabulary)
	const { named, added: told } = await readSpecialTokens(folder, model)
	const likeliest = model === 'Unigram' ? await loadUnigram(vocabularyFile) : undefined
	// Words may have been taught beside a tokenizer.json from before.
	const contents = new Set(added_tokens.map(({ content }) => content))
	const taught = Object.entries(told)
		.map(([id, token]) => ({ ...token, id: Number(id) }))
		.filter(({ content }) => !contents.has(content))
	const listed = [...added_tokens, ...taught]
	// Not special ones, which nobody types: a mask is in tokenizers of which no encoder has an embedding for it.
	const strange = listed.find(({ id, special }) => id >= known && !special)
	if (strange) {
		const expected = `expected ids below ${known}, vocab_size of the text encoder, which has no embedding for more`
		throw new ModelError(folder, `${expected}, got ${strange.id} for ${JSON.stringify(strange.content)}`)
	}
	const library = build({ ...json, added_tokens: listed }, vocabularyFile)
	// Apart, for the library takes what was added for pieces of any word, too.
	const { model: pieces } = model === 'WordPiece' ? build({ ...json, added_tokens: [] }, vocabularyFile) : library
	const toPieces = likeliest ?? pieces

	const total = length ?? config.model_max_length
	if (total === undefined || !Number.isInteger(total) || total < 3 || total > 100_000) {
		const unset = total !== undefined && total >= UNSET ? ', which transformers writes where nobody has set it' : ''
		throw new ModelError(configFile, `expected model_max_length as an integer from 3 to 100000, got ${total}${unset}`)
	}
	const pad = named.pad_token && library.token_to_id(named.pad_token.content)
	if (pad === undefined) {
		throw new ModelError(configFile, `expected a pad_token of the vocabulary, got ${named.pad_token?.content}`)
	}
	const idOf = (token: string): number => {
		const id = library.token_to_id(token)
		if (id === undefined) {
			throw new ModelError(vocabularyFile, `expected ${JSON.stringify(token)} in the vocabulary, found it not`)
		}
		return id
	}

	// transformers takes every special token for itself in a text, whether tokenizer.json lists it or not.
	const unlisted = Object.values(named).filter(
		({ content }) => listed.every((token) => token.content !== content) && library.token_to_id(content) !== undefined
	)
	const added = [...listed, ...unlisted]
	const splitRaw = splitter(added.filter(({ normalized }) => !normalized))
	const splitNormalised = splitter(
		added.filter(({ normalized }) => normalized),
		normalise
	)
	/** Not the library's own: it takes "<|ENDOFTEXT|>" for the special token once it is lower case. */
	const tokenize = (text: string): string[] =>
		splitRaw(text).flatMap((piece) =>
			'token' in piece
				? [piece.token]
				: splitNormalised(normalise(piece.text)).flatMap((inner) =>
						'token' in inner ? [inner.token] : toPieces(cut(inner.text))
					)
		)

	// What stands around every text, as <|startoftext|> and <|endoftext|> or [CLS] and [SEP] do.
	const text = '\0text'
	const { bos_token: first, eos_token: last } = named
	const around =
		first && last && /^CLIPTokenizer/.test(config.tokenizer_class ?? '')
			? [first.content, text, last.content] // As transformers' class does, whatever tokenizer.json says.
			: (library.post_processor?.post_process([text]).tokens ?? [text])
	const before = around.slice(0, around.indexOf(text)).map(idOf)
	const after = around.slice(around.indexOf(text) + 1).map(idOf)
	const room = total - before.length - after.length

	const severalOf = vectorsOf(added.map(({ content }) => content))

	return (text) => {
		const words = tokenize(severalOf(text, tokenize)).map(idOf)
		const ids = [...before, ...words.slice(0, room), ...after]
		const rest = words.slice(room)
		return {
			ids: [...ids, ...Array<number>(total - ids.length).fill(pad)],
			cutOff: rest.length > 0 ? library.decode(rest, { clean_up_tokenization_spaces: false }).trim() : ''
		}
	}
}

/**
 * Textual inversion may have learnt several vectors for a word: "<cat>" then stands for "<cat> <cat>_1 <cat>_2", of which each is a token. As diffusers'
 * `maybe_convert_prompt`.
 */
function vectorsOf(contents: readonly string[]): (text: string, tokenize: (text: string) => string[]) => string {
	const known = new Set(contents)
	const several = [...known]
		.filter((token) => known.has(`${token}_1`))
		.map((token) => {
			const all = [token]
			while (known.has(`${token}_${all.length}`)) {
				all.push(`${token}_${all.length}`)
			}
			return [token, all.join(' ')] as const
		})
	return (text, tokenize) => {
		const words = several.length > 0 ? tokenize(text) : []
		return several.reduce((said, [token, all]) => (words.includes(token) ? said.replaceAll(token, () => all) : said), text)
	}
}

/** Not the library's own: it says of letters that are in no piece which they are, and for that there is no id. */
async function loadUnigram(file: string): Promise<(words: readonly string[]) => string[]> {
	const { vocab, unk_id } = (await readConfig(file, Unigram)).model
	const pieces = unigram(vocab, unk_id)
	return (words) => words.flatMap(pieces)
}

function build(json: object, file: string): HuggingFaceTokenizer {
	try {
		return new Tokenizer({ decoder: null, post_processor: null, ...json }, {})
	} catch (error) {
		throw new ModelError(file, `expected a tokenizer, got: ${(error as Error).message}`, { cause: error })
	}
}

type Piece = { readonly token: string } | { readonly text: string }

/** \w as Rust has it. */
const WORD = '[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]'

/** Cuts a text around the added tokens in it, the longest one first. */
function splitter(tokens: readonly AddedToken[], normalise = (content: string) => content): (text: string) => Piece[] {
	if (tokens.length === 0) {
		return (text) => [{ text }]
	}
	const sorted = tokens
		.map((token) => ({ ...token, found: normalise(token.content) }))
		.filter(({ found }) => found.length > 0)
		.sort((a, b) => b.found.length - a.found.length)
	const pattern = new RegExp(
		sorted
			.map(({ found, lstrip, rstrip, single_word }) => {
				const escaped = found.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
				const word = single_word ? `(?<!${WORD})(${escaped})(?!${WORD})` : `(${escaped})`
				return `${lstrip ? '\\p{White_Space}*' : ''}${word}${rstrip ? '\\p{White_Space}*' : ''}`
			})
			.join('|'),
		'gu'
	)
	return (text) => {
		const pieces: Piece[] = []
		let end = 0
		for (const match of text.matchAll(pattern)) {
			if (match.index > end) {
				pieces.push({ text: text.slice(end, match.index) })
			}
			pieces.push({ token: sorted[match.slice(1).findIndex((group) => group !== undefined)]!.content })
			end = match.index + match[0].length
		}
		if (end < text.length) {
			pieces.push({ text: text.slice(end) })
		}
		return pieces
	}
}
