import { appendFileSync, cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { tiny } from '../golden/tiny.ts'
import { modelHash } from './model-hash.ts'

let work: string
let folder: string
beforeEach(() => {
	work = mkdtempSync(path.join(tmpdir(), 'darkroom-'))
	folder = path.join(work, 'a')
	cpSync(tiny, folder, { recursive: true })
})
afterEach(() => rmSync(work, { recursive: true }))

test.each([
	'model_index.json',
	'unet/model.onnx',
	'text_encoder/model.onnx',
	'text_encoder/config.json',
	'tokenizer/tokenizer.json',
	'scheduler/scheduler_config.json',
	'vae_decoder/model.onnx'
])('a model with another %s is another', async (file) => {
	expect(await modelHash(folder)).toBe(await modelHash(tiny))
	const bytes = readFileSync(path.join(folder, file))
	writeFileSync(path.join(folder, file), bytes.with(bytes.length >> 1, bytes[bytes.length >> 1]! ^ 1))
	expect(await modelHash(folder)).not.toBe(await modelHash(tiny))
})

test('a part that another model lends counts as its own', async () => {
	const whole = await modelHash(folder)
	renameSync(path.join(folder, 'text_encoder'), path.join(work, 'text_encoder'))
	cpSync(tiny, path.join(work, 'b'), { recursive: true })
	writeFileSync(path.join(folder, 'darkroom.json'), '{"parts":{"text_encoder":"b"}}')
	const lent = await modelHash(folder)
	expect(lent).not.toBe(whole)
	appendFileSync(path.join(work, 'b/text_encoder/model.onnx'), ' ')
	expect(await modelHash(folder)).not.toBe(lent)
})

test('weights that are too large to be read whole are told apart by parts all over them', async () => {
	const file = path.join(folder, 'unet/model.onnx_data')
	const weights = Buffer.alloc(40_000_000)
	const hashOf = (change: (bytes: Buffer) => void) => {
		change(weights)
		writeFileSync(file, weights)
		return modelHash(folder)
	}
	const hashes = [
		await hashOf(() => {}),
		await hashOf((bytes) => bytes.fill(1, 20_000_000, 21_000_000)),
		await hashOf((bytes) => bytes.fill(2, bytes.length - 1)),
		await hashOf((bytes) => bytes.fill(3, 0, 1))
	]
	expect(new Set(hashes).size).toBe(4)
	expect(await hashOf(() => {})).toBe(hashes[3])
})
