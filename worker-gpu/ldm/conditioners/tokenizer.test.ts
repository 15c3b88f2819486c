import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { unzip } from '../../golden/unpack.ts'
import { loadTokenizer, type Tokenize } from './tokenizer.ts'
import { tokenizerJson } from './tokenizer-json.ts'

interface Golden {
	length: number
	texts: string[]
	runs: Record<string, { pad: number; ids: number[][]; cut: ([count: number, text: string] | null)[]; tokenizer: Parts }>
	/** What T5's tokenizer.json was until transformers 5, and its ids where they are others. */
	older_t5: { normalizer: object; pre_tokenizer: object; different: Record<number, number[]> }
}
interface Parts {
	model: object
}

const folder = path.join(import.meta.dirname, '../../golden/tokenizers')
const golden = await unzip<Golden>('tokenizers/token-ids.json.gz')
/** Whose vocabulary they share. */
const vocabularyOf: Record<string, string> = { 'clip-2': 'clip', 'clip-added': 'clip', 'bert-cased': 'bert' }
const vocabularies: Record<string, string[]> = { clip: ['vocab.json', 'merges.txt'], bert: ['vocab.txt'], t5: ['spiece.model'] }
const padded = (ids: number[], pad: number) => [...ids, ...Array<number>(golden.length - ids.length).fill(pad)]

describe.each(Object.entries(golden.runs))('%s', (name, run) => {
	let copy: string
	let tokenize: Tokenize
	beforeAll(async () => {
		copy = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
		await cp(path.join(folder, name), copy, { recursive: true })
		const whose = vocabularyOf[name] ?? name
		for (const file of vocabularies[whose]!) {
			await cp(path.join(folder, whose, file), path.join(copy, file))
		}
		await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify(await tokenizerJson(copy)))
		tokenize = await loadTokenizer(copy, golden.length)
	})
	afterAll(() => rm(copy, { recursive: true }))

	test("the converted tokenizer.json is that of transformers' class", async () => {
		const { vocab, merges, ...model } = ((await tokenizerJson(copy)) as { model: Record<string, unknown> }).model
		expect(vocab).toBeDefined()
		expect(merges !== undefined).toBe(name.startsWith('clip'))
		expect(await tokenizerJson(copy)).toMatchObject({ ...run.tokenizer, model: {} })
		expect(model).toEqual(run.tokenizer.model)
	})

	test(`gives transformers' ids for ${golden.texts.length} texts, cut off and padded`, () => {
		const different = golden.texts.filter(
			(text, i) => JSON.stringify(tokenize(text).ids) !== JSON.stringify(padded(run.ids[i]!, run.pad))
		)
		expect(different).toEqual([])
	})

	test('tells what it cut off, as the pipelines warn of it', () => {
		// Python and JavaScript do not strip the same; and transformers says <Cat-Toy> in lower case.
		const strip = (text: string) =>
			text
				.replace(/[\p{Cc}\ufeff]/gu, '')
				.trim()
				.toLowerCase()
		const different = golden.texts.filter((text, i) => strip(tokenize(text).cutOff) !== strip(run.cut[i]?.[1] ?? ''))
		expect(different).toEqual([])
	})
})

test("T5's tokenizer.json of transformers 4 gives the ids that it gave", async () => {
	const { different, ...older } = golden.older_t5
	const copy = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await cp(path.join(folder, 't5'), copy, { recursive: true })
	await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify({ ...(await tokenizerJson(copy)), ...older }))
	const tokenize = await loadTokenizer(copy, golden.length)
	const { ids, pad } = golden.runs.t5!
	expect(golden.texts.map((text) => tokenize(text).ids)).toEqual(ids.map((usual, i) => padded(different[i] ?? usual, pad)))
	await rm(copy, { recursive: true })
})

test.each(['made of it', 'from before'])(
	"words of textual inversion have the ids that added_tokens.json gives them, beside a tokenizer.json %s, and one of several vectors stands for them all, as transformers and diffusers' maybe_convert_prompt have it",
	async (made) => {
		const copy = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
		await cp(path.join(folder, 'clip'), copy, { recursive: true })
		const before = await tokenizerJson(copy)
		await writeFile(path.join(copy, 'added_tokens.json'), '{"<cat>":1214,"<cat>_1":1215,"<cat>_2":1216,"<Dog>":1217}')
		const merges = path.join(copy, 'merges.txt')
		await writeFile(merges, `\ufeff${await readFile(merges, 'utf8')}`) // As editors on Windows write it.
		const json = made === 'from before' ? before : await tokenizerJson(copy)
		await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify(json))
		const tokenize = await loadTokenizer(copy, 32)
		const ids = (text: string) => tokenize(text).ids.slice(0, tokenize(text).ids.indexOf(1213) + 1)
		expect(ids('a photo of <cat>, <cat> <Dog>')).toEqual([
			1212, 320, 79, 842, 334, 552, 1214, 1215, 1216, 267, 1214, 1215, 1216, 1217, 1213
		])
		expect(ids('cat')).toEqual([1212, 778, 1213])
		await rm(copy, { recursive: true })
	}
)

test("a word that was added to BERT's is no piece of others", async () => {
	const copy = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await cp(path.join(folder, 'bert'), copy, { recursive: true })
	const json = await tokenizerJson(copy)
	const word = { id: 1364, content: 'cats', single_word: true, lstrip: false, rstrip: false, normalized: true, special: false }
	const added_tokens = [...(json.added_tokens as object[]), word]
	await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify({ ...json, added_tokens }))
	const tokenize = await loadTokenizer(copy, 6)
	expect(tokenize('cats').ids).toEqual([3, 1364, 4, 0, 0, 0])
	expect(tokenize('_cats').ids).toEqual([3, 39, 1044, 388, 4, 0]) // As transformers' BertTokenizer: _, cat, ##s
	await rm(copy, { recursive: true })
})

describe('a folder that is not as it must be', () => {
	let copy: string
	beforeAll(async () => {
		copy = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	})
	afterAll(() => rm(copy, { recursive: true }))

	test.each([null, { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true }])(
		"CLIP's texts begin and end with their tokens, also where tokenizer.json puts none there: %o",
		async (post_processor) => {
			await put('clip', {})
			const usual = await tokenizerJson(copy)
			const ids = []
			for (const json of [usual, { ...usual, post_processor }]) {
				await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify(json))
				ids.push((await loadTokenizer(copy))('a photo of a cat').ids)
			}
			expect(ids[1]).toEqual(ids[0])
		}
	)

	const put = async (name: string, files: Record<string, string>) => {
		await rm(copy, { recursive: true })
		await cp(path.join(folder, name), copy, { recursive: true })
		for (const [file, content] of Object.entries(files)) {
			await writeFile(path.join(copy, file), content)
		}
	}

	test.each([
		[
			'merges that make no token',
			'clip',
			{ 'merges.txt': '#version: 0.2\nzz qq\n' },
			/merges.txt: expected two tokens of vocab.json/
		],
		[
			'a vocabulary without the special tokens',
			'clip',
			{ 'vocab.json': '{}', 'merges.txt': '' },
			/expected the vocabulary to have the bos_token/
		],
		[
			'no vocabulary',
			'clip-2',
			{},
			/expected tokenizer.json, vocab.json with merges.txt, vocab.txt, or spiece.model, found none/
		],
		['a broken vocabulary', 'clip', { 'vocab.json': '{"a": -1}' }, /vocab.json: /]
	])('%s', async (_, name, files, message) => {
		await put(name, files as Record<string, string>)
		await expect(tokenizerJson(copy)).rejects.toThrow(message)
	})

	test.each([
		['clip', 'CLIPTokenizer', 'RobertaTokenizer'],
		['bert', 'BertTokenizer', 'BertJapaneseTokenizer'],
		['t5', 'T5Tokenizer', 'AlbertTokenizerFast']
	])('the vocabulary of %s in files of another class, which cuts texts in its own way', async (name, expected, got) => {
		await put(name, { 'tokenizer_config.json': JSON.stringify({ tokenizer_class: got }) })
		const message = new RegExp(`tokenizer_config.json: tokenizer_class: expected ${expected}, .*, got ${got}$`)
		await expect(tokenizerJson(copy)).rejects.toThrow(message)
	})

	test.each([
		['a normalizer that is not known', { normalizer: { type: 'Nmt' } }, /tokenizer.json: .*normalizer/],
		[
			'a special token without an id',
			{ model: { type: 'WordPiece', unk_token: '[UNK]', vocab: { '[PAD]': 0 } }, added_tokens: [] },
			/tokenizer.json: expected "\[CLS\]" in the vocabulary/
		],
		['a vocabulary that is none', { model: { type: 'BPE' } }, /tokenizer.json: expected a tokenizer/],
		['a model that is not known', { model: { type: 'WordLevel', vocab: {} } }, /tokenizer.json: .*model.type/],
		['Unigram without pieces', { model: { type: 'Unigram', vocab: [], unk_id: 0 } }, /tokenizer.json: .*model.vocab/],
		['an unknown piece that is none', { model: { type: 'Unigram', vocab: [['a', 0]], unk_id: 1 } }, /tokenizer.json: .*unk_id/],
		[
			'a charsmap that is none',
			{ normalizer: { type: 'Precompiled', precompiled_charsmap: 'AAA=' } },
			/tokenizer.json: .*charsmap/
		]
	])('%s', async (_, difference, message) => {
		await put('bert', {})
		await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify({ ...(await tokenizerJson(copy)), ...difference }))
		await expect(loadTokenizer(copy)).rejects.toThrow(message)
	})

	test('padding on the other side', async () => {
		await put('bert', {})
		await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify(await tokenizerJson(copy)))
		await writeFile(path.join(copy, 'tokenizer_config.json'), '{"padding_side":"left","model_max_length":77,"pad_token":"[PAD]"}')
		await expect(loadTokenizer(copy)).rejects.toThrow(/tokenizer_config.json: .*padding_side/)
	})
})
