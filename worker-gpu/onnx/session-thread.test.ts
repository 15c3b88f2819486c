import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { develop, drawingOf, type Golden, open } from '../golden/pipelines.ts'
import golden from '../golden/stable-diffusion.json' with { type: 'json' }
import { planFor } from '../ldm/checkpoint.ts'
import { ROWS } from './branches.ts'
import { loadPart, type Part } from './part.ts'
import { asOnCuda, chooseProvider } from './provider.ts'
import { openSessionInThread } from './session-thread.ts'

const here = await chooseProvider('cpu', 1)
const there = asOnCuda(here)
const folder = path.join(import.meta.dirname, '../golden/tiny/unet')

const feedsOf = (value: number, rows = 2) => ({
	sample: { data: new Float32Array(rows * 4 * 8 * 8).fill(value), dims: [rows, 4, 8, 8] },
	timestep: { data: Array<number>(rows).fill(7), dims: [rows] },
	encoder_hidden_states: { data: new Float32Array(rows * 4 * 16).fill(-value), dims: [rows, 4, 16] },
	[ROWS]: { data: Array.from({ length: rows }, (_, i) => i), dims: [rows] }
})
const messageOf = (settling: Promise<unknown>): Promise<string> =>
	settling.then(
		() => 'no error',
		(error: Error) => error.message
	)

test.each(['sd', 'sd-fp16'])('%s draws the same bits in a thread of its own', async (name) => {
	const { models, drawn } = golden as unknown as Golden
	const { request } = drawn.find(({ model }) => model === name)!
	const pictures = await Promise.all(
		[here, there].map(async (provider) =>
			develop(await planFor(await open(models[name]!, provider), drawingOf(request)), request.seed)
		)
	)
	expect(pictures[1]).toEqual(pictures[0])
})

test('calls are served in their order, and each is timed by itself', async () => {
	const heard: string[] = []
	const times: number[] = []
	const part = await loadPart(folder, there, {
		milliseconds: 0,
		begins: (call) => heard.push(`begins ${call?.split(' | ')[1]?.split(',')[0]}`),
		ended(call, ms) {
			heard.push(`ended ${call.split(' | ')[1]!.split(',')[0]}`)
			times.push(ms!)
		}
	})
	const began = performance.now()
	const answers = [64, 2, 3].map((rows) => part.run(feedsOf(0.5, rows), ['out_sample']))
	const [[large], [small]] = (await Promise.all(answers)) as [[{ data: Float32Array }], [{ data: Float32Array }], unknown]
	expect(performance.now() - began).toBeGreaterThanOrEqual(times.reduce((sum, ms) => sum + ms))
	expect(large.data.slice(0, small.data.length)).toEqual(small.data)
	// Each shape has a session of its own beside the first one, and all of these are opened first.
	const begins = ['undefined', 'undefined', 'undefined', 'undefined', 64, 2, 3].map((rows) => `begins ${rows}`)
	expect(heard.filter((line) => line.startsWith('begins'))).toEqual(begins)
	expect(heard.filter((line) => line.startsWith('ended'))).toEqual([64, 2, 3].map((rows) => `ended ${rows}`))
	await part.release()
})

test('a graph that was replaced since it was loaded stays the one that it was', async () => {
	const replaced = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		await cp(folder, replaced, { recursive: true })
		let opened = 0
		const stopwatch = { milliseconds: 0, begins: (call?: string) => (opened += call === undefined ? 1 : 0) }
		const part = await loadPart(replaced, there, stopwatch)
		const [before] = await part.run(feedsOf(1, 3), ['out_sample'])
		await part.run(feedsOf(1, 2), ['out_sample'])
		await writeFile(path.join(replaced, 'model.onnx'), 'another graph')
		const [after] = await part.run(feedsOf(1, 4), ['out_sample'])
		// That session is for any shape, and adds up in another order than one that knows its own.
		const apart = before!.data.map((value, i) => Math.abs(value - after!.data[i]!))
		expect(Math.max(...apart)).toBeLessThan(1e-5)
		expect(opened).toBe(3)
		await part.release()
	} finally {
		await rm(replaced, { recursive: true })
	}
})

test('what fails says the same in both, and others go on', async () => {
	const garbage = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		await writeFile(path.join(garbage, 'model.onnx'), 'no graph')
		const wrong = async (provider: typeof here): Promise<string[]> => {
			const part = await loadPart(folder, provider, { milliseconds: 0 })
			const run = (feeds: Parameters<Part['run']>[0]) => part.run(feeds, ['out_sample'])
			const fails = [
				loadPart(garbage, provider, { milliseconds: 0 }),
				run({ ...feedsOf(1), timestep: { data: [1, 2, 3], dims: [3] } }),
				run({ sample: feedsOf(1).sample })
			]
			const messages = await Promise.all(fails.map(messageOf))
			messages.push(await messageOf(run(feedsOf(1))))
			await part.release()
			return [...messages, await messageOf(run(feedsOf(1)))]
		}
		const messages = await wrong(there)
		expect(messages).toEqual(await wrong(here))
		expect(messages).toEqual([
			expect.stringContaining('expected an ONNX graph that loads, got: '),
			expect.stringMatching(/./),
			expect.stringContaining('expected a graph with the inputs sample, got one more'),
			'no error',
			expect.stringMatching(/dispose/)
		])
	} finally {
		await rm(garbage, { recursive: true })
	}
})

test('what no other thread can be given is refused, and whoever asks next gets what is theirs', async () => {
	const session = await openSessionInThread(path.join(folder, 'model.onnx'), there, () => {})
	const values = (data: unknown, dims: readonly number[]) => ({ type: 'float32', data: data as Float32Array, dims })
	const feeds = {
		sample: values(new Float32Array(256), [1, 4, 8, 8]),
		timestep: values(Float32Array.of(7), [1]),
		encoder_hidden_states: values(new Float32Array(64), [1, 4, 16]),
		[ROWS]: { type: 'int64', data: BigInt64Array.of(0n), dims: [1] }
	}
	const run = async (more = {}) => session.run({ ...feeds, ...more }, ['out_sample'], () => {})
	await expect(run({ timestep: values([() => 7], [1]) })).rejects.toThrow(/could not be cloned|transfer/i)
	expect((await run()).outputs[0]!.dims).toEqual([1, 4, 8, 8])
	await session.release()
})
