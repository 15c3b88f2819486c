import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { descendants } from '../../test/processes.ts'
import { endlessGraph } from '../../worker-gpu/golden/hostile-graphs.ts'
import { apart } from './apart.ts'
import { workspace } from './testing.ts'

const place = workspace()
const { add, at, lay, nothingWritten } = place

/** Adds what lies there, its graphs run in a process of their own. */
const addApart = (signal = new AbortController().signal, longest?: number) =>
	add({
		stage: async (id, found, staged) => (await apart({ work: 'stage', id, found, staged, provider: 'cpu' }, signal, longest))!
	})

async function layEndless(): Promise<void> {
	await lay('scalar')
	writeFileSync(at('vae_decoder/model.onnx'), endlessGraph('latent_sample', 'sample'))
}

/** Its graphs are about to be run, or are run: all files are there. */
const isStaged = () =>
	readdirSync(place.modelsDir).some((staged) => existsSync(path.join(place.modelsDir, staged, 'vae_decoder/model.onnx')))

test('a model that is added by another process lies there as others do, for whoever may read them', async () => {
	await lay('scalar')
	chmodSync(at('vae_decoder/model.onnx'), 0o600)
	const { folder, entry } = await addApart()
	expect(entry.id).toBe('tiny-sd')
	const modeOf = (name: string) => statSync(path.join(folder, name)).mode
	expect([modeOf('.'), modeOf('vae_decoder/model.onnx')]).toEqual([modeOf('unet'), modeOf('darkroom.json')])
	const check = { work: 'check', modelsDir: place.modelsDir, catalogFile: place.catalogFile, provider: 'cpu' } as const
	await apart({ ...check, id: 'tiny-sd' }, new AbortController().signal)
	await expect(apart({ ...check, id: 'other' }, new AbortController().signal)).rejects.toThrow('expected a model of the catalog')
})

test('what is wrong with a graph is told by the file that people have', async () => {
	await lay('scalar')
	writeFileSync(at('vae_decoder/model.onnx'), endlessGraph('latent_sample', 'picture').subarray(0, -1))
	await expect(addApart()).rejects.toThrow(at('vae_decoder/model.onnx'))
	nothingWritten()
})

test('a graph that never returns is waited for no longer than a node would, and nothing is left of it', async () => {
	await layEndless()
	await expect(addApart(undefined, 3_000)).rejects.toThrow(
		'expected each call of its graphs to return within 3 s, but one did not'
	)
	nothingWritten()
})

test('a graph that crashes takes nothing along, and nothing is left of it', async () => {
	await layEndless()
	const adding = expect(addApart()).rejects.toThrow('the process that ran them ended with SIGSEGV')
	await expect.poll(isStaged, { timeout: 30_000 }).toBe(true)
	process.kill(descendants(process.pid).find(({ command }) => command.includes('models/process.ts'))!.pid, 'SIGSEGV')
	await adding
	nothingWritten()
})

test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
	'%s ends it in the midst of a call, and nothing is left of it',
	async (signal) => {
		await layEndless()
		const main = path.join(import.meta.dirname, 'main.ts')
		const env = { ...process.env, MODELS_DIR: place.modelsDir, DARKROOM_PROVIDER: 'cpu' }
		const child = spawn(process.execPath, [main, 'add', place.source, '--dry-run'], { env, stdio: 'ignore' })
		await expect.poll(isStaged, { timeout: 30_000 }).toBe(true)
		child.kill(signal)
		expect(await once(child, 'exit')).toEqual([130, null])
		nothingWritten()
	}
)
