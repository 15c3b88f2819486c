import * as library from '@huggingface/tokenizers'

/** What we use of @huggingface/tokenizers, whose own types do not resolve under Node's module resolution. */
export const { Tokenizer, ByteLevelPreTokenizer, ReplaceNormalizer, SplitPreTokenizer } = library as unknown as {
	Tokenizer: new (json: object, config: object) => HuggingFaceTokenizer
	ReplaceNormalizer: new (config: object) => { normalize(text: string): string }
	ByteLevelPreTokenizer: new (config: object) => PreTokenizer
	SplitPreTokenizer: new (config: object) => PreTokenizer
}

interface PreTokenizer {
	pre_tokenize_text(text: string): string[]
}

export interface HuggingFaceTokenizer {
	/** Words to tokens of the vocabulary: the merges of BPE, the longest pieces of WordPiece. */
	model: (words: readonly string[]) => string[]
	post_processor: { post_process(tokens: readonly string[]): { tokens: string[] } } | null
	token_to_id(token: string): number | undefined
	decode(ids: readonly number[], options: { clean_up_tokenization_spaces: boolean }): string
}
