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

const Named = z.union([
	z
		.string()
		.transform((content) => ({ content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true })),
	Flags.transform((token) => ({ ...token, normalized: token.normalized ?? true, special: true }))
])

const NAMES = ['bos_token', 'eos_token', 'unk_token', 'sep_token', 'pad_token', 'cls_token', 'mask_token'] as const
type Name = (typeof NAMES)[number]

const NamedTokens = z.object(
	Object.fromEntries(NAMES.map((name) => [name, Named.nullish()])) as Record<Name, z.ZodOptional<z.ZodNullable<typeof Named>>>
)

const Config = NamedTokens.extend({
	added_tokens_decoder: z
		.record(
			z.string(),
			Flags.transform(({ special = false, ...token }) => ({ ...token, special, normalized: token.normalized ?? !special }))
		)
		.optional()
})

export interface SpecialTokens {
	/** Tokens by their role: `pad_token`, `bos_token`. */
	readonly named: Readonly<Partial<Record<Name, AddedToken>>>
	/** What tokenizer_config.json adds to the vocabulary itself, by id. */
	readonly added: Readonly<Record<string, AddedToken>>
}

/**
 * A tokenizer's special tokens, from the files and in the order of preference of transformers: special_tokens_map.json has the last
 * word (Stable Diffusion 2 says only there that it pads with "!"), but is not read where tokenizer_config.json has `added_tokens_decoder`.
 */
export async function readSpecialTokens(folder: string): Promise<SpecialTokens> {
	const { added_tokens_decoder: added, ...config } = await readConfig(path.join(folder, 'tokenizer_config.json'), Config)
	const map = path.join(folder, 'special_tokens_map.json')
	const named = { ...config, ...(!added && existsSync(map) ? await readConfig(map, NamedTokens) : {}) }
	const byContent = new Map(Object.values(added ?? {}).map((token) => [token.content, token]))
	return {
		added: added ?? {},
		named: Object.fromEntries(
			NAMES.flatMap((name) => {
				const token = named[name]
				return token ? [[name, byContent.get(token.content) ?? token]] : []
			})
		)
	}
}
