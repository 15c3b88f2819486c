import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { isAlive } from '../../test/processes.ts'
import { copyTree } from '../../test/tree.ts'
import { tinyRequest } from '../golden/tiny.ts'
import { startEngine } from './client.ts'
import type { Developed, Engine } from './engine.ts'
import type { EngineHalted } from './errors.ts'
import type { DevelopedPicture, EnginePreview } from './messages.ts'
import { tellSoon } from './testing.ts'

const modelsDir = path.join(import.meta.dirname, '../golden')
/** Without measuring sizes, which one that rests would do beside the others. */
const options = { models: ['tiny'], modelsDir, provider: 'cpu', threads: 1, measureLimits: false } as const
const request = { ...tinyRequest, height: 24, seed: 0xffff_ffff, count: 3 }
/** Long enough to be still at work whenever the test does something to it. */
const endless = { ...request, width: 128, height: 128, steps: 900 }

let engine: Engine
const logged: string[] = []
beforeAll(async () => {
	engine = await startEngine({ ...options, log: (line) => logged.push(line) })
})
afterAll(() => engine?.close())

test('reports what it runs on', () => {
	expect(engine.report).toMatchObject({ provider: 'cpu', reason: 'as asked', threads: 1, models: ['tiny'] })
})

test.runIf(process.platform === 'linux')('knows none of the secrets of the node', async () => {
	const secrets = { QUEUE_URL: 'rediss://:secret@queue', C2PA_PRIVATE_KEY: 'a secret key' }
	Object.assign(process.env, secrets)
	const other = await startEngine(options)
	for (const name of Object.keys(secrets)) {
		delete process.env[name]
	}
	const environment = readFileSync(`/proc/${other.pid}/environ`, 'utf8')
	await other.close()
	expect(environment).toContain('PATH=')
	expect(environment).not.toContain('secret')
})

test('develops every picture of a request, seed by seed', async () => {
	const early: number[] = []
	const { pictures, inferenceMs } = await engine.develop(request, { onPicture: ({ n }) => early.push(n) })
	expect(pictures.map(({ n, seed, width, height }) => ({ n, seed, width, height }))).toEqual([
		{ n: 0, seed: 0xffff_ffff, width: 16, height: 24 },
		{ n: 1, seed: 0, width: 16, height: 24 },
		{ n: 2, seed: 1, width: 16, height: 24 }
	])
	expect(pictures[0]!.pixels).toHaveLength(16 * 24 * 3)
	expect(early.sort()).toEqual([0, 1, 2])
	expect(inferenceMs).toBeGreaterThan(0)

	const [second] = (await engine.develop(request, { pictures: [1] })).pictures
	expect(second).toEqual(pictures[1])
})

test('names what went wrong', async () => {
	await expect(engine.develop({ ...request, model: 'other' })).rejects.toThrow('model: expected one of tiny, got other')
	await expect(engine.develop({ ...request, guidance: 1e300 })).rejects.toMatchObject({ name: 'NotFinite' })
})

test('a canceled request rejects with the reason, and the engine goes on', async () => {
	const cancel = new AbortController()
	const canceled = engine.develop(endless, { signal: cancel.signal, onProgress: () => cancel.abort(new Error('enough')) })
	await expect(canceled).rejects.toThrow('enough')
	expect((await engine.develop(request)).pictures).toHaveLength(3)
	await expect(engine.develop(request, { signal: cancel.signal })).rejects.toThrow('enough')
})

/** The pixels of a request's pictures. */
const pixelsOf = async (developing: Promise<Developed>) => (await developing).pictures.map(({ n, pixels }) => ({ n, pixels }))
/** So many ticks that it is still at work when the engine hears what its parent says at the start. */
const long = { ...request, steps: 300 }
/** Rows of that, or of another such drawing, from an engine that is halted. Of its own accord one tells of them after half a second, when a fast machine is done. */
async function halted(request: ResolvedRequest): Promise<Uint8Array> {
	const first = await startEngine(options)
	const early: DevelopedPicture[] = []
	const developing = first.develop(request, { onPicture: (picture) => early.push(picture), onProgress: () => void first.halt() })
	const { rows } = (await developing.catch((error) => error)) as EngineHalted
	await first.close()
	expect(early).toEqual([])
	await expect(first.develop(request)).rejects.toMatchObject({ name: 'EngineClosed' })
	return rows!
}

test('killed in the midst of work, it goes on from the latest rows to the same pictures', { timeout: 120_000 }, async () => {
	const uninterrupted = await pixelsOf(engine.develop(long))
	logged.length = 0
	let kills = 0
	let furthest = 0
	const again = await pixelsOf(
		engine.develop(long, {
			onProgress({ done }) {
				if (kills === 3) {
					return
				}
				// Not where it was killed before: that would be its own doing.
				if (done > furthest) {
					kills += 1
					furthest = done
					process.kill(engine.pid!, 'SIGKILL')
				} else {
					tellSoon(engine)
				}
			}
		})
	)
	expect(again).toEqual(uninterrupted)
	expect(kills).toBe(3)
	expect(logged.filter((line) => line === 'engine: the engine ended unexpectedly (SIGKILL); starting it again')).toHaveLength(
		kills
	)
	expect(logged.filter((line) => /^engine: back, loaded in \d+\.\d s$/.test(line))).toHaveLength(kills)
})

test('signals that reach a whole terminal are for its parent', async () => {
	const { pid } = engine
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
		process.kill(pid!, signal)
	}
	expect((await engine.develop(request)).pictures).toHaveLength(request.count)
	expect(engine.pid).toBe(pid)
})

test('started again, it insists on the provider that it had: no CPU stands in for a GPU that is gone', async () => {
	const choosing = await startEngine({ ...options, provider: 'auto' })
	try {
		const { provider, reason } = choosing.report
		expect(reason).not.toBe('as asked')
		process.kill(choosing.pid!, 'SIGKILL')
		await choosing.develop(request)
		expect(choosing.report).toMatchObject({ provider, reason: 'as asked' })
	} finally {
		await choosing.close()
	}
})

test('a request that crashes it again and again ends alone, by name; strangers get the same pictures', {
	timeout: 120_000
}, async () => {
	const strangers = [long, { ...request, seed: 7 }]
	const alone = await Promise.all(strangers.map((stranger) => pixelsOf(engine.develop(stranger))))
	const poisonous = engine.develop({ ...endless, count: 1 }, { onProgress: () => process.kill(engine.pid!, 'SIGKILL') })
	const among = Promise.all(strangers.map((stranger) => pixelsOf(engine.develop(stranger))))
	await expect(poisonous).rejects.toMatchObject({ name: 'EngineCrashed', message: 'the engine ended unexpectedly (SIGKILL)' })
	expect(await among).toEqual(alone)
})

test('when its memory has grown, a fresh process goes on with the rows', { timeout: 120_000 }, async () => {
	const uninterrupted = await pixelsOf(engine.develop(long))
	const lines: string[] = []
	const looked = Promise.withResolvers<void>()
	const larger = new AbortController()
	const growing = await startEngine({
		...options,
		mostGrowth: 2 ** 20,
		log(line) {
			lines.push(line)
			larger.abort()
		},
		onStats: () => looked.resolve()
	})
	const pid = growing.pid
	try {
		await looked.promise
		// Its attention alone takes a hundred times as much.
		growing.develop({ ...endless, count: 1 }, { signal: larger.signal }).catch(() => {})
		expect(await pixelsOf(growing.develop(long))).toEqual(uninterrupted)
		expect(lines[0]).toMatch(/^engine: has grown from \d+ MB to \d+ MB; starting a fresh one$/)
		expect(growing.pid).not.toBe(pid)
	} finally {
		await growing.close()
	}
})

test('what a graph takes that is opened for another shape is no growth', { timeout: 120_000 }, async () => {
	const lines: string[] = []
	let told = Promise.withResolvers<void>()
	const opening = await startEngine({
		models: ['scenes'],
		provider: 'cpu',
		asOnCuda: true,
		threads: 1,
		measureLimits: false,
		// Opened once more, its U-Net takes 65 MB.
		mostGrowth: 40 * 2 ** 20,
		log: (line) => lines.push(line),
		onStats: () => told.resolve()
	})
	try {
		for (const height of [64, 96, 128]) {
			await opening.develop({ ...request, model: 'scenes', width: 64, height })
			told = Promise.withResolvers()
			await told.promise
		}
		expect(lines).toEqual([])
	} finally {
		await opening.close()
	}
})

test('halted, it hands out rows from which another engine goes on to the same pictures', async () => {
	const uninterrupted = await pixelsOf(engine.develop(long))
	const rows = await halted(long)
	const progress: number[] = []
	const gone = pixelsOf(engine.develop(long, { rows, onProgress: ({ done }) => progress.push(done) }))
	expect(await gone).toEqual(uninterrupted)
	expect(progress[0]).toBeGreaterThan(0)
})

test('halted while finished pictures are decoded, it hands them out still, and what is complete has succeeded', async () => {
	const short = { ...request, steps: 1, count: 16 }
	const uninterrupted = await pixelsOf(engine.develop(short))
	const first = await startEngine(options)
	/** Pictures that came before it was asked to halt. */
	let early = 0
	let halted: Promise<void> | undefined
	const complete = pixelsOf(
		first.develop(short, {
			onPicture() {
				early += halted ? 0 : 1
				halted ??= first.halt()
			}
		})
	)
	const unfinished = first.develop(endless).catch((error) => error)
	expect(await complete).toEqual(uninterrupted)
	expect(early).toBe(1)
	expect(await unfinished).toMatchObject({ name: 'EngineHalted' })
	await first.close()
})

test.each([
	['damaged', (rows: Uint8Array) => rows.with(rows.length - 1, rows.at(-1)! ^ 1)],
	['cut short', (rows: Uint8Array) => rows.subarray(0, 40)],
	['no rows at all', () => new Uint8Array([1, 2, 3])]
])('rows that are %s are ignored', async (_, spoil) => {
	logged.length = 0
	const stop = new AbortController()
	const rows = await new Promise<Uint8Array>((resolve) => {
		engine.develop(endless, { signal: stop.signal, onProgress: (progress) => resolve(progress.rows) }).catch(() => {})
	})
	stop.abort()
	const progress: number[] = []
	const begun = engine.develop(request, { rows: spoil(rows), onProgress: ({ done }) => progress.push(done) })
	expect((await begun).pictures).toHaveLength(3)
	expect(progress[0]).toBe(0)
	expect(logged).toEqual([expect.stringMatching(/^engine: begins anew: expected saved rows, got /)])
})

test('rows of other work are ignored', async () => {
	const stop = new AbortController()
	const rows = await new Promise<Uint8Array>((resolve) => {
		engine.develop(endless, { signal: stop.signal, onProgress: (progress) => resolve(progress.rows) }).catch(() => {})
	})
	stop.abort()
	expect((await engine.develop(request, { rows })).pictures).toHaveLength(3)
	expect(logged.at(-1)).toBe('engine: begins anew: expected rows of the same request, model and version, got others')
})

test.each([
	[
		'another version, whose samplers remember otherwise, begin anew',
		(ldm: string) => {
			const sampler = path.join(ldm, 'samplers/pndm.ts')
			writeFileSync(sampler, readFileSync(sampler, 'utf8').replaceAll('answers', 'slopes'))
		},
		['engine: begins anew: expected rows of the same request, model and version, got others']
	],
	[
		'the same version, in a container, go on',
		(ldm: string) => {
			for (const file of globSync('**/*.test.ts', { cwd: ldm })) {
				rmSync(path.join(ldm, file))
			}
		},
		[]
	]
])('rows in %s', async (_, change, begins) => {
	const tree = copyTree()
	change(path.join(tree, 'worker-gpu/ldm'))
	const other: typeof import('./client.ts') = await import(path.join(tree, 'worker-gpu/engine/client.ts'))
	const told: string[] = []
	const elsewhere = await other.startEngine({ ...options, log: (line) => told.push(line) })
	const plms = { ...long, sampler: 'pndm' } as const
	const rows = await halted(plms)
	expect(await pixelsOf(elsewhere.develop(plms, { rows }))).toEqual(await pixelsOf(engine.develop(plms)))
	expect(told).toEqual(begins)
	await elsewhere.close()
	rmSync(tree, { recursive: true })
})

test('previews come while they are wanted', async () => {
	const seen = new AbortController()
	const previews: EnginePreview[] = []
	const developing = engine.develop(
		{ ...endless, count: 1 },
		{
			signal: seen.signal,
			onProgress(progress) {
				progress.watch(true)
				previews.push(...progress.previews)
				if (previews.length > 1) {
					seen.abort(new Error('seen'))
				}
			}
		}
	)
	await expect(developing).rejects.toThrow('seen')
	for (const { n, step, width, height, pixels } of previews) {
		expect({ n, width, height, bytes: pixels.length }).toEqual({ n: 0, width: 64, height: 64, bytes: 64 * 64 * 3 })
		expect(step).toBeGreaterThan(0)
	}
})

test('closing rejects what was in flight', async () => {
	const other = await startEngine(options)
	const closed = expect(other.develop(endless)).rejects.toMatchObject({ name: 'EngineClosed' })
	await other.close()
	await closed
})

test('a model that is not there fails the start, by name', async () => {
	const starting = startEngine({ ...options, models: ['tiny', 'nowhere'] })
	await expect(starting).rejects.toMatchObject({
		name: 'ModelError',
		message: expect.stringContaining('golden/nowhere: expected a folder')
	})
})

test('a model that is not loaded at the start is loaded when it is first asked for', async () => {
	const lazy = await startEngine({ ...options, loaded: [] })
	const { pictures } = await lazy.develop(request)
	expect(pictures).toHaveLength(request.count)
	await lazy.close()
	await expect(startEngine({ ...options, models: ['tiny', 'nowhere'], loaded: [] })).rejects.toMatchObject({ name: 'ModelError' })
})

test('a model whose files cannot all be read is no fault of the request', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await cp(path.join(modelsDir, 'tiny'), path.join(folder, 'tiny'), { recursive: true })
	symlinkSync('nowhere', path.join(folder, 'tiny/notes.txt'))
	const lazy = await startEngine({ ...options, modelsDir: folder, loaded: [] })
	try {
		await expect(lazy.develop(request)).rejects.toMatchObject({ name: 'ModelNotLoaded' })
		rmSync(path.join(folder, 'tiny/notes.txt'))
		expect((await lazy.develop(request)).pictures).toHaveLength(request.count)
	} finally {
		await lazy.close()
		await rm(folder, { recursive: true })
	}
})

test('what cannot be started again gives its work up with its rows, and says so', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await cp(path.join(modelsDir, 'tiny'), path.join(folder, 'tiny'), { recursive: true })
	const lost = Promise.withResolvers<void>()
	const other = await startEngine({ ...options, modelsDir: folder, longestWait: 400, onLost: lost.resolve })
	try {
		const working = other.develop(endless, {
			onProgress({ done }) {
				if (done > 0) {
					rmSync(path.join(folder, 'tiny/unet'), { recursive: true, force: true })
					process.kill(other.pid!, 'SIGKILL')
				}
			}
		})
		await expect(working).rejects.toMatchObject({ name: 'EngineHalted', rows: expect.any(Uint8Array) })
		await lost.promise
		expect(other.healthy).toBe(false)
		await expect(other.develop(request)).rejects.toMatchObject({ name: 'EngineHalted' })
		await other.halt()
	} finally {
		await other.close()
		await rm(folder, { recursive: true })
	}
})

test('halted while it is being started again, it gives its work up at once, with its rows', async () => {
	const lines: string[] = []
	let halted: Promise<void> | undefined
	const other = await startEngine({
		...options,
		log(line) {
			lines.push(line)
			halted ??= other.halt()
		}
	})
	const working = other.develop(endless, { onProgress: ({ done }) => done > 0 && process.kill(other.pid!, 'SIGKILL') })
	await expect(working).rejects.toMatchObject({ name: 'EngineHalted', rows: expect.any(Uint8Array) })
	await halted
	await other.close()
	expect(lines).toEqual(['engine: the engine ended unexpectedly (SIGKILL); starting it again'])
})

test('does not outlive its parent, however that ended', async () => {
	const code = `
		const { startEngine } = await import(${JSON.stringify(path.join(import.meta.dirname, 'client.ts'))})
		const engine = await startEngine(${JSON.stringify(options)})
		process.send(engine.pid)
		await engine.develop(${JSON.stringify(endless)})`
	const parent = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
	const [pid] = (await once(parent, 'message')) as [number]
	expect(isAlive(pid)).toBe(true)
	parent.kill('SIGKILL')
	await expect.poll(() => isAlive(pid), { timeout: 20_000 }).toBe(false)
})
