import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endlessGraph, failingGraph } from '../golden/hostile-graphs.ts'
import { tiny, tinyRequest } from '../golden/tiny.ts'
import { callBounds } from './call-bounds.ts'
import { startEngine } from './client.ts'
import type { Developed, Engine } from './engine.ts'
import { tellSoon } from './testing.ts'

const request = { ...tinyRequest, height: 24, steps: 150, seed: 1 }

/** What CUDA says of a kernel: after the one it does nothing for the process any more, after the other it does. */
const failures = {
	lost: 'CUDA failure 700: an illegal memory access was encountered',
	failing: 'CUDA failure 701: too many resources requested for launch'
}

let modelsDir: string
beforeAll(async () => {
	modelsDir = await mkdtemp(path.join(tmpdir(), 'hung-'))
	await cp(tiny, path.join(modelsDir, 'tiny'), { recursive: true })
	await cp(tiny, path.join(modelsDir, 'endless'), { recursive: true })
	await writeFile(path.join(modelsDir, 'endless/vae_decoder/model.onnx'), endlessGraph('latent_sample', 'sample'))
	for (const [model, failure] of Object.entries(failures)) {
		await cp(tiny, path.join(modelsDir, model), { recursive: true })
		await writeFile(path.join(modelsDir, model, 'vae_decoder/model.onnx'), failingGraph('latent_sample', 'sample', failure))
	}
})
afterAll(() => rm(modelsDir, { recursive: true }))

const pixelsOf = async (developing: Promise<Developed>) => (await developing).pictures.map(({ n, pixels }) => ({ n, pixels }))

describe.each([
	["the engine's thread", false],
	['a thread of their own', true]
])('sessions in %s:', (_, asOnCuda) => {
	let engine: Engine
	const lines: string[] = []
	beforeAll(async () => {
		engine = await startEngine({
			models: ['tiny', 'endless', ...Object.keys(failures)],
			loaded: ['tiny'],
			modelsDir,
			provider: 'cpu',
			asOnCuda,
			threads: 1,
			measureLimits: false,
			longestCall: 2_000,
			log: (line) => lines.push(line)
		})
	}, 60_000)
	afterAll(() => engine?.close())

	test('a call that never returns is ended; what hangs again and again ends alone, by name, and strangers get the same pictures', {
		timeout: 120_000
	}, async () => {
		const alone = await pixelsOf(engine.develop(request))
		const before = lines.length // One engine for all tests, and for those that are tried again.
		// One step: an end that finds it further than the one before is counted as a first one.
		const hanging = expect(engine.develop({ ...request, model: 'endless', steps: 1, count: 1 })).rejects.toMatchObject({
			name: 'EngineHung',
			message: expect.stringMatching(/^a call of the engine did not return within \d+ s$/)
		})
		expect(await pixelsOf(engine.develop(request))).toEqual(alone)
		await hanging
		const ends = lines
			.slice(before)
			.filter((line) => /^engine: a call of the engine did not return .*; starting it again$/.test(line))
		// More where the second one found that step done, or where the machine let an honest call wait.
		expect(ends.length).toBeGreaterThanOrEqual(3)
		// Where the strangers were done before, it is still being started again.
		expect(await pixelsOf(engine.develop(request))).toEqual(alone)
		expect(engine.healthy).toBe(true)
	})

	test('a process that the GPU does no more for is ended; one that may go on is not', { timeout: 120_000 }, async () => {
		const short = { ...request, steps: 10 }
		const alone = await pixelsOf(engine.develop(short))
		const { pid } = engine
		await expect(engine.develop({ ...short, model: 'failing' })).rejects.toThrow(failures.failing)
		expect(engine.pid).toBe(pid)
		const losing = expect(engine.develop({ ...short, model: 'lost' })).rejects.toMatchObject({ name: 'EngineCrashed' })
		expect(await pixelsOf(engine.develop(short))).toEqual(alone)
		await losing
		expect(engine.pid).not.toBe(pid)
	})

	if (!asOnCuda) {
		return // What follows is its parent's doing, to whom threads are all the same.
	}

	test('a process that hangs while it has nothing to do is ended, and who comes then is served', {
		timeout: 60_000
	}, async () => {
		const short = { ...request, steps: 10 }
		const alone = await pixelsOf(engine.develop(short))
		const { pid } = engine
		process.kill(pid!, 'SIGSTOP')
		expect(await pixelsOf(engine.develop(short))).toEqual(alone)
		expect(engine.pid).not.toBe(pid)
	})

	test('rows of a process that hangs go on from where they were', { timeout: 120_000 }, async () => {
		const long = { ...request, steps: 250, count: 4 }
		const uninterrupted = await pixelsOf(engine.develop(long))
		const { pid } = engine
		const done: number[] = []
		const again = engine.develop(long, {
			onProgress(progress) {
				done.push(progress.done)
				if (engine.pid === pid) {
					progress.done > 0 ? process.kill(pid!, 'SIGSTOP') : tellSoon(engine)
				}
			}
		})
		expect(await pixelsOf(again)).toEqual(uninterrupted)
		expect(engine.pid).not.toBe(pid)
		expect(done).toEqual(done.toSorted((a, b) => a - b))
	})
})

test.skipIf(process.platform === 'win32')(
	'a graph whose loading never ends is given up, at the start and at a later one',
	{
		timeout: 120_000
	},
	async () => {
		const folder = await mkdtemp(path.join(modelsDir, 'loads-'))
		await cp(tiny, path.join(folder, 'tiny'), { recursive: true })
		const graph = path.join(folder, 'tiny/unet/model.onnx')
		const options = { models: ['tiny'], modelsDir: folder, provider: 'cpu', threads: 1, measureLimits: false } as const
		const lost = Promise.withResolvers<void>()
		const engine = await startEngine({ ...options, longestLoad: 15_000, longestWait: 200, onLost: lost.resolve })
		try {
			const working = engine.develop(
				{ ...request, width: 128, height: 128, steps: 900 }, // Not done before it has told of any progress.
				{
					onProgress({ done }) {
						if (done > 0) {
							rmSync(graph, { force: true })
							execFileSync('mkfifo', [graph]) // Nobody writes into it.
							process.kill(engine.pid!, 'SIGKILL')
						}
					}
				}
			)
			await expect(working).rejects.toMatchObject({ name: 'EngineHalted', rows: expect.any(Uint8Array) })
			await lost.promise
		} finally {
			await engine.close()
		}
		await expect(startEngine({ ...options, longestLoad: 15_000 })).rejects.toMatchObject({ name: 'EngineHung' })
	}
)

test('a call may take many times as long as the slowest one like it, and the first one of all very long', () => {
	const bounds = callBounds()
	const first = bounds.of('unet | 2')
	bounds.took('unet | 2', 20_000)
	bounds.took('unet | 2', 10_000)
	bounds.took('decoder', 1)
	expect(bounds.of('unet | 2')).toBeGreaterThanOrEqual(400_000)
	expect(bounds.of('decoder')).toBeGreaterThanOrEqual(30_000)
	expect(bounds.of('decoder')).toBeLessThan(first)
	expect(bounds.of('unet | 4')).toBe(first)
	for (let kind = 0; kind < 10_000; kind++) {
		bounds.took(`kind ${kind}`, 1)
	}
	expect(bounds.of('decoder')).toBe(first)
})
