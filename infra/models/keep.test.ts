import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { appendFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { checkModel } from './check.ts'
import { listModels } from './list.ts'
import { removeModel } from './remove.ts'
import { provider, workspace } from './testing.ts'
import { moveWeights } from './testing-graphs.ts'

const place = workspace()
const { add, lay, nothingWritten } = place

test('models are listed, checked and removed', async () => {
	await lay('scalar')
	await add()
	expect(await listModels(place.modelsDir, place.catalogFile)).toMatch(/tiny-sd +text-to-image +8 to 32 .*models\/tiny-sd$/m)
	expect(await listModels(place.modelsDir, place.catalogFile)).toMatch(/scenes .* is missing$/m)
	expect(await Array.fromAsync(checkModel(place.modelsDir, place.catalogFile, provider, 'tiny-sd'))).toEqual([
		'tiny-sd: text-to-image: drew 8 × 8 in 4 evaluations'
	])
	await expect(Array.fromAsync(checkModel(place.modelsDir, place.catalogFile, provider))).rejects.toThrow(
		/models\/scenes: expected a folder/
	)
	await expect(removeModel(place.modelsDir, place.catalogFile, 'other')).rejects.toThrow(
		'expected a model of the catalog (scenes, tiny-sd), got other'
	)
	await writeFile(path.join(place.modelsDir, 'tiny-sd/darkroom.json'), '{') // What is broken can go, too.
	expect(await removeModel(place.modelsDir, place.catalogFile, 'tiny-sd')).toBeGreaterThan(100_000)
	nothingWritten()
	await expect(removeModel(place.modelsDir, place.catalogFile, 'scenes')).rejects.toThrow('scenes is the last')
})

test('a flipped bit in the weights of a model that was added is told by its file', async () => {
	await lay('scalar')
	await moveWeights(place.at('unet'))
	const { folder } = await add()
	const check = () => Array.fromAsync(checkModel(place.modelsDir, place.catalogFile, provider, 'tiny-sd'))
	for (const name of ['vae_decoder/model.onnx', 'unet/model.onnx_data']) {
		const file = path.join(folder, name)
		const bytes = readFileSync(file)
		const flipped = Buffer.from(bytes)
		flipped.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 1, bytes.length >> 1)
		await writeFile(file, flipped)
		await expect(check()).rejects.toThrow(`${file}: expected the file that was added`)
		await writeFile(file, bytes)
	}
	expect(await check()).toHaveLength(1)
	// Whoever trusts nothing of ours.
	execFileSync('sha256sum', ['-c', '--strict', 'SHA256SUMS'], { cwd: folder })
	await appendFile(path.join(folder, 'SHA256SUMS'), 'nonsense\n')
	await expect(check()).rejects.toThrow('SHA256SUMS: expected lines of sha256sum, got "nonsense"')
})

test('what an import has left that was killed is told', async () => {
	await lay('scalar')
	const list = () => listModels(place.modelsDir, place.catalogFile)
	// An import that never ends, as far as others see.
	const left = await new Promise<string>((begun) => {
		void add({ stage: (_id, _found, staged) => new Promise(() => begun(staged)) })
	})
	expect(await list()).toMatch(`${left} is no model of the catalog. If no import is at work in it, remove it`)
	await rm(left, { recursive: true })
	expect(await list()).not.toMatch('is no model')
})

test('a model that lends parts stays while another needs them', async () => {
	await lay('scalar')
	const { folder } = await add()
	await add({ id: 'other' })
	const other = path.join(place.modelsDir, 'other')
	for (const part of ['vae_decoder', 'tokenizer']) {
		await rm(path.join(other, part), { recursive: true })
	}
	await writeFile(path.join(other, 'darkroom.json'), '{"parts":{"vae_decoder":"tiny-sd","tokenizer":"tiny-sd"}}')
	expect(await Array.fromAsync(checkModel(place.modelsDir, place.catalogFile, provider, 'other'))).toHaveLength(1)
	await expect(removeModel(place.modelsDir, place.catalogFile, 'tiny-sd')).rejects.toThrow(
		'expected a model that lends no parts to others, but other would miss those of tiny-sd: remove them first'
	)
	expect(existsSync(path.join(folder, 'unet/model.onnx'))).toBe(true)
	await removeModel(place.modelsDir, place.catalogFile, 'other')
	await removeModel(place.modelsDir, place.catalogFile, 'tiny-sd')
	nothingWritten()
})
