import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Denoiser, Evaluation } from '../ldm/denoiser.ts'
import { openLimitStore } from './limit-store.ts'
import { measuredLimits } from './limits.ts'

const tiny = path.join(import.meta.dirname, '../golden/tiny/unet')
const x = { data: new Float32Array(4 * 64), dims: [4, 8, 8] }
const evaluation: Evaluation = { x, t: 1, cond: {} }
const key = `${tiny} | x 4,8,8`

/** A network whose calls take `cost` milliseconds of a clock that nothing else moves. */
function network(cost: (size: number) => number) {
	let clock = 0
	const sizes: number[] = []
	const denoiser: Denoiser = {
		id: tiny,
		channels: 4,
		latentChannels: 4,
		multiple: 1,
		guidanceInput: undefined,
		isSteered: false,
		async predict(evaluations) {
			sizes.push(evaluations.length)
			clock += cost(evaluations.length)
			return evaluations.map(() => x)
		},
		isPlanned: () => true
	}
	return { denoiser, sizes, now: () => clock }
}

async function measured(cost: (size: number) => number, store?: ReturnType<typeof openLimitStore>, more = {}) {
	const { denoiser, sizes, now } = network(cost)
	const limits = measuredLimits({ guessPositions: 640, store, now, ...more })
	expect(limits.of(key, 64)).toEqual({ most: 10, light: 10 })
	limits.saw(key, denoiser, evaluation)
	while (await limits.measure()) {
		// One call each time.
	}
	const { most: limit, light } = limits.of(key, 64)
	return { limit, light, sizes, limits, denoiser }
}

describe('the limit', () => {
	test.each([
		['as long as doubling gains 5 %', (n: number) => 10 + n, 64],
		['no further than it gains', (n: number) => 8 + Math.max(n, 8) * 1.5 + Math.max(0, n - 8) * 3, 8],
		['past a doubling that something else held up', (n: number) => (n === 4 ? 30 : 10 + n), 64],
		['past two of them that have one between that gains', (n: number) => (n === 4 || n === 16 ? 10 * n : 10 + n), 64],
		['a pair where it gains nothing', (n: number) => n, 2],
		['no longer than a second a call', (n: number) => 400 + n * 20, 8]
	])('grows %s', async (_, cost, expected) => {
		expect((await measured(cost)).limit).toBe(expected)
	})

	test('of a shape that comes where many wait to be measured waits for its own next call', async () => {
		const { denoiser, now } = network((n) => n)
		const limits = measuredLimits({ guessPositions: 640, now })
		const seen = Array.from({ length: 200 }, (_, i) => `shape ${i}`)
		const measured = async () => {
			for (const shape of seen) {
				limits.saw(shape, denoiser, evaluation)
			}
			while (await limits.measure()) {
				// One call each time.
			}
			return seen.filter((shape) => limits.of(shape, 64).most === 2).length
		}
		expect(await measured()).toBeLessThan(100)
		await measured()
		await measured()
		expect(await measured()).toBe(200)
	})

	test('does not grow because the machine was busier before', async () => {
		let calls = 0
		expect((await measured((n) => n * (calls++ < 6 ? 10 : 1))).limit).toBe(2)
	})

	test('is no lower because the machine is busy with something else half of the time', async () => {
		let clock = 0
		// Every other 40 ms are another process's: some short calls lie between them, no long one does.
		const slowed = (n: number) => {
			const began = clock
			for (let left = 10 + n; left > 0; clock++) {
				left -= clock % 80 < 40 ? 1 : 0
			}
			return clock - began
		}
		expect((await measured(slowed)).limit).toBe(64)
	})

	test.each([true, false])(
		'is found in spite of what a change of shape costs, where every call is made twice: %s',
		async (plansShapes) => {
			let before = 0
			const cost = (n: number) => {
				const change = n === before ? 0 : 800
				before = n
				return 8 + Math.max(n, 4) * 1.5 + Math.max(0, n - 4) * 3 + change
			}
			const { limit } = await measured(cost, undefined, { plansShapes })
			expect(limit === 4).toBe(plansShapes)
		}
	)

	test('changes the shape of a call as little as can be, where that is what costs, and then plans those that calls will have', async () => {
		const { limit, sizes } = await measured((n) => 10 + n, undefined, { plansShapes: true })
		expect(limit).toBe(128)
		const tried = [2, 4, 8, 16, 32, 64, 128]
		expect(sizes.filter((size, i) => size !== sizes[i - 1])).toEqual([...tried, 1, ...tried])
	})

	const gainsNoMore = (n: number) => 8 + Math.max(n, 8) * 1.5 + Math.max(0, n - 8) * 3
	test.each([
		['half of it, where more gains little', gainsNoMore, false, 4],
		['all of it, where nothing larger was tried', (n: number) => 10 + n, false, 64],
		['in two lanes all of it, where half as large a call does half as much', gainsNoMore, true, 8],
		['in two lanes the least that nearly has the throughput of twice its size', (n: number) => 2 + n, true, 16]
	])('is, while there are fewer rows, %s', async (_, cost, plansShapes, expected) => {
		expect((await measured(cost, undefined, { plansShapes })).light).toBe(expected)
	})

	test('grows as far as it may', async () => {
		expect((await measured(() => 10, undefined, { most: 256 })).limit).toBe(256)
	})

	test.each([
		'Failed to allocate memory for requested buffer of size 1048576',
		'CUDA failure 2: out of memory',
		'CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED',
		'CUDNN failure 4002: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED'
	])('ends where memory does: %s', async (message) => {
		const { limit } = await measured((size) => {
			if (size > 16) {
				throw new Error(message)
			}
			return 1
		})
		expect(limit).toBe(16)
	})

	test('is not what anything else that goes wrong says, whichever call that is', async () => {
		const { sizes } = await measured((n) => n)
		for (let failing = 0; failing < sizes.length; failing++) {
			let calls = 0
			const cost = (n: number) => {
				if (calls++ === failing) {
					throw new Error('no such input')
				}
				return n
			}
			expect((await measured(cost)).limit).toBe(10)
		}
	})

	test('falls with an allocation that failed, for ten minutes, and for twice as long where that was no moment’s want', () => {
		let clock = 0
		const limits = measuredLimits({ guessPositions: 640, now: () => clock })
		const after = (minutes: number) => {
			clock += minutes * 60_000
			return limits.of(key, 64).most
		}
		const fall = () => {
			limits.fell(key, 7)
			limits.fell(key, 5)
			expect(limits.of(key, 64)).toEqual({ most: 5, light: 5 })
		}
		fall()
		expect([after(9.9), after(0.1)]).toEqual([5, 10])
		fall()
		expect([after(19.9), after(0.1)]).toEqual([5, 10])
	})
})

describe('the store', () => {
	let folder: string
	beforeAll(async () => {
		folder = await mkdtemp(path.join(tmpdir(), 'limits-'))
	})
	afterAll(() => rm(folder, { recursive: true }))
	const file = (name: string) => path.join(folder, name)
	beforeEach(() => rm(file('batch-limits.json'), { force: true }))
	const open = (threads = 2) => openLimitStore(folder, { name: 'cpu', threads })

	test('keeps what was measured, for the same provider and network', async () => {
		expect((await measured((n) => 10 + n, open())).limit).toBe(64)
		const again = await measured((n) => n, open())
		expect(again).toMatchObject({ limit: 64, sizes: [] })
		expect((await measured((n) => n, open(), { plansShapes: true })).sizes).toEqual([1, 2, 4, 8, 16, 32, 64])
		expect((await measured((n) => n, open(1))).limit).toBe(2)
		expect(Object.keys(JSON.parse(await readFile(file('batch-limits.json'), 'utf8')))).toHaveLength(2)
	})

	test('on CUDA is of one kind of GPU', async () => {
		const path = process.env.PATH
		const on = async (gpus: string, cost: (size: number) => number) => {
			await writeFile(file('nvidia-smi'), `#!/bin/sh\n${gpus}`, { mode: 0o755 })
			return (await measured(cost, openLimitStore(folder, { name: 'cuda', threads: 2 }))).limit
		}
		try {
			process.env.PATH = `${folder}:${path}`
			expect(await on('echo NVIDIA L4, 23034 MiB', (n) => 10 + n)).toBe(64)
			expect(await on('echo NVIDIA H200, 143771 MiB; echo NVIDIA H200, 143771 MiB', (n) => n)).toBe(2)
			expect(await on('exit 9', (n) => n)).toBe(2)
			expect(await on('echo NVIDIA L4, 23034 MiB', (n) => n)).toBe(64)
			const keys = Object.keys(JSON.parse(await readFile(file('batch-limits.json'), 'utf8')))
			expect(keys.map((key) => key.split(' | ').slice(1, -2))).toEqual([
				['NVIDIA L4, 23034 MiB', 'cuda'],
				['NVIDIA H200, 143771 MiB', 'cuda'],
				['cuda']
			])
		} finally {
			process.env.PATH = path
		}
	})

	test('does not keep what a busy machine let nobody measure', async () => {
		let calls = 0
		const busy = (n: number) => (10 + n) * 1.1 ** (50 - calls++)
		expect((await measured(busy, open())).sizes.length).toBeGreaterThan(0)
		expect(await measured((n) => 10 + n, open())).toMatchObject({ limit: 64, sizes: expect.arrayContaining([64]) })
	})

	test('does not keep what a call fell to that did not get its memory', async () => {
		const { denoiser } = network((n) => n)
		const kept: unknown[] = []
		const limits = measuredLimits({ guessPositions: 640, store: { ...open(), write: async (...given) => void kept.push(given) } })
		limits.saw(key, denoiser, evaluation)
		limits.fell(key, 5)
		expect(await limits.measure()).toBe(false)
		expect(kept).toEqual([])
	})

	test.each(['', '{"a":{"b":-1}}', '[]'])('that was spoilt is begun anew: %s', async (text) => {
		await writeFile(file('batch-limits.json'), text)
		expect((await measured((n) => n, open())).limit).toBe(2)
		expect((await measured((n) => 10 + n, open())).limit).toBe(2)
	})

	test('that has a call of nothing is begun anew', async () => {
		await measured((n) => 10 + n, open())
		const text = await readFile(file('batch-limits.json'), 'utf8')
		await writeFile(file('batch-limits.json'), text.replace('"most": 64', '"most": 0'))
		expect((await measured((n) => n, open())).limit).toBe(2)
	})

	test('is read once for a shape', async () => {
		const store = open()
		let read = 0
		await measured((n) => n, { ...store, read: (...asked) => store.read(...asked).finally(() => read++) })
		expect(read).toBe(1)
	})

	test('of a graph that is gone since it was loaded is neither found nor kept', async () => {
		const { denoiser, now } = network((n) => n)
		const limits = measuredLimits({ guessPositions: 640, store: open(), now })
		limits.saw(key, { ...denoiser, id: path.join(folder, 'gone') }, evaluation)
		while (await limits.measure()) {
			// One call each time.
		}
		expect(limits.of(key, 64).most).toBe(2)
	})

	test('that cannot be written is done without', async () => {
		const nowhere = openLimitStore(path.join(folder, 'file', 'below'), { name: 'cpu', threads: 2 })
		await writeFile(file('file'), '')
		expect((await measured((n) => n, nowhere)).limit).toBe(2)
	})
})
