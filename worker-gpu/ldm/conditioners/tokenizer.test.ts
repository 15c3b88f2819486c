import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadTokenizer, type Tokenize } from './tokenizer.ts'
import { tokenizerJson } from './tokenizer-json.ts'

interface Golden {
	length: number
	texts: string[]
	runs: Record<string, { pad: number; ids: number[][]; cut: ([count: number, text: string] | null)[]; tokenizer: Parts }>
}
interface Parts {
	model: object
}

const folder = path.join(import.meta.dirname, '../../golden/tokenizers')
const golden: Golden = JSON.parse(gunzipSync(await readFile(path.join(folder, 'token-ids.json.gz'))).toString())
/** Whose vocabulary they share. */
const vocabularyOf: Record<string, string> = { 'clip-2': 'clip', 'clip-added': 'clip', 'bert-cased': 'bert' }

describe.each(Object.entries(golden.runs))('%s', (name, run) => {
	let copy: string
	let tokenize: Tokenize
	beforeAll(async () => {
		copy = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
		await cp(path.join(folder, name), copy, { recursive: true })
		for (const file of name.startsWith('clip') ? ['vocab.json', 'merges.txt'] : ['vocab.txt']) {
			await cp(path.join(folder, vocabularyOf[name] ?? name, file), path.join(copy, file))
		}
		await writeFile(path.join(copy, 'tokenizer.json'), JSON.stringify(await tokenizerJson(copy)))
		tokenize = await loadTokenizer(copy, golden.length)
	})
	afterAll(() => rm(copy, { recursive: true }))

	test("the converted tokenizer.json is that of transformers' class", async () => {
		const { vocab, merges, ...model } = ((await tokenizerJson(copy)) as { model: Record<string, unknown> }).model
		expect(vocab).toBeDefined()
		expect(merges === undefined).toBe(name.startsWith('bert'))
		expect(await tokenizerJson(copy)).toMatchObject({ ...run.tokenizer, model: {} })
		expect(model).toEqual(run.tokenizer.model)
	})

	test(`gives transformers' ids for ${golden.texts.length} texts, cut off and padded`, () => {
		const different = golden.texts.filter((text, i) => {
			const expected = [...run.ids[i]!, ...Array<number>(golden.length - run.ids[i]!.length).fill(run.pad)]
			return JSON.stringify(tokenize(text).ids) !== JSON.stringify(expected)
		})
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
		['no vocabulary', 'clip-2', {}, /expected tokenizer.json, vocab.json with merges.txt, or vocab.txt, found none/],
		['a broken vocabulary', 'clip', { 'vocab.json': '{"a": -1}' }, /vocab.json: /]
	])('%s', async (_, name, files, message) => {
		await put(name, files as Record<string, string>)
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
		['a model that is not known', { model: { type: 'Unigram', vocab: [] } }, /tokenizer.json: .*model.type/]
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
