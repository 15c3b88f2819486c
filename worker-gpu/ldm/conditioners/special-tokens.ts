import { existsSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'

/** A token that stands for itself wherever it is found in a text, as `added_tokens` in tokenizer.json has it. */
export interface AddedToken {
	readonly content: string
	readonly single_word: boolean
	readonly lstrip: boolean
	readonly rstrip: boolean
	/** Looked for in the normalised text, not in the text as it came. */
	readonly normalized: boolean
	readonly special: boolean
}

const Flags = z.object({
	content: z.string(),
	single_word: z.boolean().default(false),
	lstrip: z.boolean().default(false),
	rstrip: z.boolean().default(false),
	normalized: z.boolean().optional(),
	special: z.boolean().optional()
})

/** A special token of which only the text is given. */
export function plain(content: string): AddedToken {
	return { content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true }
}

const Named = z.union([
	z.string().transform(plain),
	Flags.transform((token): AddedToken => ({ ...token, normalized: token.normalized ?? true, special: true }))
])

/** The roles, in the order in which transformers goes through them. */
export const NAMES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const
type Name = (typeof NAMES)[number]

const NamedTokens = z.object(
	Object.fromEntries(NAMES.map((name) => [name, Named.nullish()])) as Record<Name, z.ZodOptional<z.ZodNullable<typeof Named>>>
)

const Config = NamedTokens.extend({
	added_tokens_decoder: z
		.record(
			z.string(),
			Flags.transform(
				({ special = false, ...token }): AddedToken => ({ ...token, special, normalized: token.normalized ?? !special })
			)
		)
		.optional()
})

export interface SpecialTokens {
	/** Tokens by their role: `pad_token`, `bos_token`. */
	readonly named: Readonly<Partial<Record<Name, AddedToken>>>
	/** What tokenizer_config.json adds to the vocabulary itself, or added_tokens.json beside older ones, by id. */
	readonly added: Readonly<Record<string, AddedToken>>
}

/** What transformers' CLIPTokenizer, BertTokenizer and T5Tokenizer take for granted, by the kind of their vocabulary. */
const DEFAULTS = {
	BPE: {
		bos_token: plain('<|startoftext|>'),
		eos_token: plain('<|endoftext|>'),
		unk_token: plain('<|endoftext|>'),
		pad_token: plain('<|endoftext|>')
	},
	WordPiece: {
		unk_token: plain('[UNK]'),
		sep_token: plain('[SEP]'),
		pad_token: plain('[PAD]'),
		cls_token: plain('[CLS]'),
		mask_token: plain('[MASK]')
	},
	Unigram: { eos_token: plain('</s>'), unk_token: plain('<unk>'), pad_token: plain('<pad>') }
}

/**
 * A tokenizer's special tokens, from the files and in the order of preference of transformers: special_tokens_map.json has the last
 * word (Stable Diffusion 2 says only there that it pads with "!"), but is not read where tokenizer_config.json has `added_tokens_decoder`.
 */
export async function readSpecialTokens(folder: string, kind: keyof typeof DEFAULTS): Promise<SpecialTokens> {
	const { added_tokens_decoder, ...config } = await readConfig(path.join(folder, 'tokenizer_config.json'), Config)
	const map = path.join(folder, 'special_tokens_map.json')
	const mapped = !added_tokens_decoder && existsSync(map) ? await readConfig(map, NamedTokens) : {}
	const sources: { readonly [N in Name]?: AddedToken | null | undefined }[] = [mapped, config, DEFAULTS[kind]]
	const byContent = new Map(Object.values(added_tokens_decoder ?? {}).map((token) => [token.content, token]))
	const named: Partial<Record<Name, AddedToken>> = {}
	for (const name of NAMES) {
		const token = sources.map((tokens) => tokens[name]).find(Boolean)
		if (token) {
			named[name] = byContent.get(token.content) ?? token
		}
	}
	return { named, added: added_tokens_decoder ?? (await readOlder(path.join(folder, 'added_tokens.json'), Object.values(named))) }
}

/** As transformers wrote it until 4.34: the ids of textual inversion's words, which are looked for in the normalised text. */
async function readOlder(file: string, named: readonly AddedToken[]): Promise<SpecialTokens['added']> {
	const ids = existsSync(file) ? await readConfig(file, z.record(z.string(), z.int().nonnegative())) : {}
	const tokenOf = (content: string) =>
		named.find((token) => token.content === content) ?? { ...plain(content), normalized: true, special: false }
	return Object.fromEntries(Object.entries(ids).map(([content, id]) => [id, tokenOf(content)]))
}
