import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { readSentencePieces } from './sentence-pieces.ts'
import { type AddedToken, NAMES, plain, readSpecialTokens, type SpecialTokens } from './special-tokens.ts'

type Json = Record<string, unknown>

/**
 * What `tokenizer.json` would be in a folder that has only the older files: `vocab.json` and `merges.txt` (CLIP), `vocab.txt` (BERT) or `spiece.model` (T5),
 * with `tokenizer_config.json` and perhaps `special_tokens_map.json`. The same as transformers' CLIPTokenizer, BertTokenizer and T5Tokenizer make of them.
 */
export async function tokenizerJson(folder: string): Promise<Json> {
	const config = path.join(folder, 'tokenizer_config.json')
	if (!existsSync(config)) {
		throw new ModelError(folder, 'expected tokenizer_config.json, found no file')
	}
	const known = [
		['vocab.json', 'CLIPTokenizer', 'BPE', clip],
		['vocab.txt', 'BertTokenizer', 'WordPiece', bert],
		['spiece.model', 'T5Tokenizer', 'Unigram', t5]
	] as const
	const found = known.find(([file]) => existsSync(path.join(folder, file)))
	if (!found) {
		throw new ModelError(
			folder,
			'expected tokenizer.json, vocab.json with merges.txt, vocab.txt, or spiece.model, found none of them'
		)
	}
	const [file, expected, kind, make] = found
	const { tokenizer_class: got } = await readConfig(config, z.object({ tokenizer_class: z.string().nullish() }))
	// MT5Tokenizer and DistilBertTokenizer are the same; others have such files, too, and cut texts in their own way.
	if (got && !got.replace(/Fast$/, '').endsWith(expected)) {
		throw new ModelError(
			config,
			`tokenizer_class: expected ${expected}, the only one that is read of ${file} without a tokenizer.json, got ${got}`
		)
	}
	return make(folder, await readSpecialTokens(folder, kind))
}

async function clip(folder: string, special: SpecialTokens): Promise<Json> {
	const vocab = await readConfig(path.join(folder, 'vocab.json'), z.record(z.string(), z.int().nonnegative()))
	const merges = await readMerges(path.join(folder, 'merges.txt'), vocab)
	const added = addedTokens(folder, vocab, special)
	const { bos_token, eos_token, unk_token } = special.named
	const around = (token: AddedToken) => [token.content, added.find(({ content }) => content === token.content)!.id]
	return {
		version: '1.0',
		truncation: null,
		padding: null,
		added_tokens: added,
		normalizer: {
			type: 'Sequence',
			normalizers: [{ type: 'NFC' }, { type: 'Replace', pattern: { Regex: '\\s+' }, content: ' ' }, { type: 'Lowercase' }]
		},
		pre_tokenizer: {
			type: 'Sequence',
			pretokenizers: [
				{
					type: 'Split',
					pattern: {
						Regex: "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"
					},
					behavior: 'Removed',
					invert: true
				},
				{ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }
			]
		},
		post_processor: {
			type: 'RobertaProcessing',
			sep: around(eos_token!),
			cls: around(bos_token!),
			trim_offsets: false,
			add_prefix_space: false
		},
		decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
		model: {
			type: 'BPE',
			dropout: null,
			unk_token: unk_token!.content,
			continuing_subword_prefix: '',
			end_of_word_suffix: '</w>',
			fuse_unk: false,
			byte_fallback: false,
			ignore_merges: false,
			vocab,
			merges
		}
	}
}

async function readMerges(file: string, vocab: Readonly<Record<string, number>>): Promise<string[][]> {
	const lines = (await read(file)).split('\n').map((line) => line.replace(/\r$/, ''))
	return lines
		.filter((line) => line !== '' && !line.startsWith('#version'))
		.map((line) => {
			const pair = line.split(' ')
			if (pair.length !== 2 || !pair.every((token) => Object.hasOwn(vocab, token)) || !Object.hasOwn(vocab, pair.join(''))) {
				throw new ModelError(file, `expected two tokens of vocab.json that make a third, got ${JSON.stringify(line)}`)
			}
			return pair
		})
}

const BertConfig = z.object({
	do_lower_case: z.boolean().default(true),
	tokenize_chinese_chars: z.boolean().default(true),
	strip_accents: z.boolean().nullable().default(null)
})

async function bert(folder: string, special: SpecialTokens): Promise<Json> {
	const config = await readConfig(path.join(folder, 'tokenizer_config.json'), BertConfig)
	const words = (await read(path.join(folder, 'vocab.txt'))).replace(/\n$/, '').split('\n')
	const vocab = Object.fromEntries(words.map((word, id) => [word.replace(/\p{White_Space}+$/u, ''), id]))
	const { named } = special
	const added = addedTokens(folder, vocab, special)
	const [cls, sep] = [named.cls_token!.content, named.sep_token!.content]
	const id = (token: string) => added.find(({ content }) => content === token)!.id
	const around = (token: string, type_id: number) => ({ SpecialToken: { id: token, type_id } })
	const sequence = (name: string, type_id: number) => ({ Sequence: { id: name, type_id } })
	const single = [around(cls, 0), sequence('A', 0), around(sep, 0)]
	return {
		version: '1.0',
		truncation: null,
		padding: null,
		added_tokens: added,
		normalizer: {
			type: 'BertNormalizer',
			clean_text: true,
			handle_chinese_chars: config.tokenize_chinese_chars,
			strip_accents: config.strip_accents,
			lowercase: config.do_lower_case
		},
		pre_tokenizer: { type: 'BertPreTokenizer' },
		post_processor: {
			type: 'TemplateProcessing',
			single,
			pair: [...single, sequence('B', 1), around(sep, 1)],
			special_tokens: Object.fromEntries([cls, sep].map((token) => [token, { id: token, ids: [id(token)], tokens: [token] }]))
		},
		decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
		model: {
			type: 'WordPiece',
			unk_token: named.unk_token!.content,
			continuing_subword_prefix: '##',
			max_input_chars_per_word: 100,
			vocab
		}
	}
}

const T5Config = z.object({ extra_ids: z.int().nonnegative().max(10_000).default(100) })

async function t5(folder: string, special: SpecialTokens): Promise<Json> {
	const { extra_ids } = await readConfig(path.join(folder, 'tokenizer_config.json'), T5Config)
	const { pieces, unknown, charsmap } = readSentencePieces(path.join(folder, 'spiece.model'))
	// What T5 was trained to fill gaps with; the last one comes first.
	const extra = Array.from({ length: extra_ids }, (_, i) => plain(`<extra_id_${extra_ids - 1 - i}>`))
	const vocab = [...pieces, ...extra.map(({ content }) => [content, 0] as const)]
	const added = addedTokens(folder, Object.fromEntries(vocab.map(([piece], id) => [piece, id])), {
		named: special.named,
		added: { ...Object.fromEntries(extra.map((token, i) => [pieces.length + i, token])), ...special.added }
	})
	const end = special.named.eos_token!.content
	const around = { SpecialToken: { id: end, type_id: 0 } }
	const sequence = (id: string) => ({ Sequence: { id, type_id: 0 } })
	const single = [sequence('A'), around]
	const metaspace = { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always', split: true }
	return {
		version: '1.0',
		truncation: null,
		padding: null,
		added_tokens: added,
		normalizer: charsmap && { type: 'Precompiled', precompiled_charsmap: charsmap.toString('base64') },
		pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'WhitespaceSplit' }, metaspace] },
		post_processor: {
			type: 'TemplateProcessing',
			single,
			pair: [...single, sequence('B'), around],
			special_tokens: { [end]: { id: end, ids: [added.find(({ content }) => content === end)!.id], tokens: [end] } }
		},
		decoder: metaspace,
		model: { type: 'Unigram', unk_id: unknown, vocab, byte_fallback: false }
	}
}

/** By id. Where two roles share a token (CLIP's eos, unk and pad), the flags of the last one count, as in transformers. */
function addedTokens(
	folder: string,
	vocab: Readonly<Record<string, number>>,
	{ added, named }: SpecialTokens
): (AddedToken & { id: number })[] {
	const byContent = new Map(Object.entries(added).map(([id, token]) => [token.content, { id: Number(id), ...token }]))
	const given = new Set(byContent.keys())
	for (const name of NAMES) {
		const token = named[name]
		if (!token || given.has(token.content)) {
			continue
		}
		const id = vocab[token.content]
		if (id !== undefined) {
			byContent.set(token.content, { id, ...token })
		} else if (name !== 'mask_token') {
			// transformers would add a token that the text encoder has no embedding for. Masks have no use here.
			throw new ModelError(folder, `expected the vocabulary to have the ${name} ${JSON.stringify(token.content)}, found it not`)
		}
	}
	return [...byContent.values()].sort((a, b) => a.id - b.id)
}

const read = (file: string): Promise<string> =>
	readFile(file, 'utf8').then(
		(text) => text.replace(/^\ufeff/, ''), // Editors on Windows begin with a mark.
		(error: Error) => {
			throw new ModelError(file, `expected a text file, got: ${error.message}`, { cause: error })
		}
	)
