import { z } from 'zod'
import { isInvalid, isMark, isPunctuation } from './bert-unicode.ts'
import { Charsmap } from './charsmap.ts'
import { ByteLevelPreTokenizer, ReplaceNormalizer, SplitPreTokenizer } from './hugging-face.ts'

/*
 * The first half of a tokenizer: a text, normalised and cut into words. These are the steps that the `tokenizer.json` of CLIP, BERT and T5
 * names. @huggingface/tokenizers has all of them, but four of CLIP's and BERT's are not what the Rust crate behind transformers does: with
 * them, 59 of the golden's 1,000 texts come out with other ids for CLIP, 105 for BERT. Those four are written here, and all of T5's.
 */

const Type = <T extends string>(type: T) => z.looseObject({ type: z.literal(type) })

type Normalise = (text: string) => string

const oneOf = <T>(steps: readonly z.ZodType<T>[]) =>
	z.union(steps, {
		error: ({ input }) => `expected a step of CLIP's, BERT's or T5's, got ${JSON.stringify(input)?.slice(0, 100)}`
	})

const Form = z.looseObject({ type: z.enum(['NFC', 'NFD', 'NFKC', 'NFKD']) }).transform(
	({ type }): Normalise =>
		(text) =>
			text.normalize(type)
)

const Replace = Type('Replace').transform((config): Normalise => {
	const normalizer = new ReplaceNormalizer(config)
	return (text) => normalizer.normalize(text)
})

/** Of both ends, or one. */
const Strip = Type('Strip')
	.extend({ strip_left: z.boolean(), strip_right: z.boolean() })
	.transform(({ strip_left, strip_right }): Normalise => {
		const ends = [strip_left && '^\\p{White_Space}+', strip_right && '\\p{White_Space}+$'].filter(Boolean).join('|')
		return (text) => (ends ? text.replace(new RegExp(ends, 'gu'), '') : text)
	})

const Precompiled = Type('Precompiled')
	.extend({ precompiled_charsmap: Charsmap })
	.transform(({ precompiled_charsmap }): Normalise => precompiled_charsmap)

const Lowercase = Type('Lowercase').transform((): Normalise => lowercase)

const BertNormalizer = Type('BertNormalizer')
	.extend({
		clean_text: z.boolean(),
		handle_chinese_chars: z.boolean(),
		strip_accents: z.boolean().nullish(),
		lowercase: z.boolean()
	})
	.transform((config): Normalise => {
		const steps: Normalise[] = []
		if (config.clean_text) {
			steps.push(clean)
		}
		if (config.handle_chinese_chars) {
			steps.push((text) => text.replace(CHINESE, ' $& '))
		}
		if (config.strip_accents ?? config.lowercase) {
			steps.push((text) => Array.from(text.normalize('NFD'), (char) => (isMark(char) ? '' : char)).join(''))
		}
		if (config.lowercase) {
			steps.push(lowercase)
		}
		return inOrder(steps)
	})

/** `normalizer` of a `tokenizer.json`. */
export const Normalizer: z.ZodType<Normalise> = z.lazy(() =>
	oneOf<Normalise>([
		z.null().transform((): Normalise => (text) => text),
		Form,
		Replace,
		Strip,
		Precompiled,
		Lowercase,
		BertNormalizer,
		Type('Sequence')
			.extend({ normalizers: z.array(Normalizer) })
			.transform(({ normalizers }) => inOrder(normalizers))
	])
)

const inOrder =
	(steps: readonly Normalise[]): Normalise =>
	(text) =>
		steps.reduce((result, step) => step(result), text)

/** Character by character, as Rust does it: JavaScript makes a Σ at the end of a word ς, the reference σ. */
const lowercase: Normalise = (text) => Array.from(text, (char) => char.toLowerCase()).join('')

const clean: Normalise = (text) =>
	Array.from(text, (char) => (isInvalid(char) ? '' : /\p{White_Space}/u.test(char) ? ' ' : char)).join('')

/** The blocks of the original BERT, those beyond 16 bits too; the gap at U+2B820 is the reference's. */
const CHINESE =
	/[\u4e00-\u9fff\u3400-\u4dbf\u{20000}-\u{2a6df}\u{2a700}-\u{2b73f}\u{2b740}-\u{2b81f}\u{2b920}-\u{2ceaf}\uf900-\ufaff\u{2f800}-\u{2fa1f}]/gu

type Words = (text: string) => string[]

/** Cuts with a regular expression that the library translates from Oniguruma's dialect. */
const Split = Type('Split').transform((config): Words => {
	const split = new SplitPreTokenizer(config)
	return (text) => split.pre_tokenize_text(text)
})

const toBytes = new ByteLevelPreTokenizer({ use_regex: false })

/** A word's UTF-8 bytes, each as a letter. Before that GPT-2's expression cuts: JavaScript's \s has U+FEFF and lacks U+0085. */
const ByteLevel = Type('ByteLevel')
	.extend({ add_prefix_space: z.literal(false), use_regex: z.boolean().default(true) })
	.transform(
		({ use_regex }): Words =>
			(text) =>
				(use_regex ? (text.match(GPT2) ?? []) : [text]).flatMap((word) => toBytes.pre_tokenize_text(word))
	)

const GPT2 =
	/'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu

/** Cuts at white space and around every punctuation mark. */
const BertPreTokenizer = Type('BertPreTokenizer').transform(
	(): Words => (text) => {
		const words: string[] = []
		let word = ''
		const end = () => {
			if (word) {
				words.push(word)
			}
			word = ''
		}
		for (const char of text) {
			if (/\p{White_Space}/u.test(char)) {
				end()
			} else if (isPunctuation(char)) {
				end()
				words.push(char)
			} else {
				word += char
			}
		}
		end()
		return words
	}
)

const WhitespaceSplit = Type('WhitespaceSplit').transform((): Words => (text) => text.split(/\p{White_Space}+/u).filter(Boolean))

/** Cuts before every blank, which becomes a letter of the word after it; the first word has one too. */
const Metaspace = Type('Metaspace')
	.extend({
		replacement: z.string().min(1),
		/** "first": only at the beginning of a text, and not after a special token in it. transformers' T5Tokenizer takes it for "always". */
		prepend_scheme: z.enum(['always', 'first']).default('always'),
		/** What there was before `prepend_scheme`. */
		add_prefix_space: z.literal(true).default(true),
		split: z.literal(true).default(true)
	})
	.transform(
		({ replacement }): Words =>
			(text) => {
				const words = text.replaceAll(' ', replacement).split(replacement)
				const first = words.shift()
				return [...(first ? [first] : []), ...words].map((word) => replacement + word)
			}
	)

/** `pre_tokenizer` of a `tokenizer.json`. */
export const PreTokenizer: z.ZodType<Words> = z.lazy(() =>
	oneOf<Words>([
		z.null().transform((): Words => (text) => [text]),
		Split,
		ByteLevel,
		BertPreTokenizer,
		WhitespaceSplit,
		Metaspace,
		Type('Sequence')
			.extend({ pretokenizers: z.array(PreTokenizer) })
			.transform(
				({ pretokenizers }): Words =>
					(text) =>
						pretokenizers.reduce((words, cut) => words.flatMap(cut), [text])
			)
	])
)
