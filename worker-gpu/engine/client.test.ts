import { spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { type Engine, startEngine } from './client.ts'

const modelsDir = path.join(import.meta.dirname, '../golden')
const options = { models: ['tiny'], modelsDir, provider: 'cpu', threads: 1 } as const
const request: ResolvedRequest = {
	model: 'tiny',
	prompt: 'a red cube',
	negative_prompt: '',
	width: 16,
	height: 24,
	steps: 4,
	guidance: 3,
	seed: 0xffff_ffff,
	count: 3
}
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

test('a crash rejects what was in flight, and the engine comes back', async () => {
	const crashed = engine.develop(endless, { onProgress: () => process.kill(engine.pid!, 'SIGKILL') })
	await expect(crashed).rejects.toMatchObject({ name: 'EngineCrashed', message: 'the engine ended unexpectedly (SIGKILL)' })
	expect((await engine.develop(request)).pictures).toHaveLength(3)
	expect(logged).toEqual([
		'engine: the engine ended unexpectedly (SIGKILL); starting it again',
		expect.stringMatching(/^engine: back, loaded in \d+\.\d s$/)
	])
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

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0)
		return true
	} catch {
		return false
	}
}
