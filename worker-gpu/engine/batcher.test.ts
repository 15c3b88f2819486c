import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test, vi } from 'vitest'
import { tinyDrawing as base, tiny } from '../golden/tiny.ts'
import { loadCheckpoint, planFor } from '../ldm/checkpoint.ts'
import type { Drawing } from '../ldm/drawing.ts'
import type { Plan } from '../ldm/plan.ts'
import { assertFinite } from '../onnx/finite.ts'
import { chooseProvider } from '../onnx/provider.ts'
import type { Tensor } from '../onnx/tensor.ts'
import { createBatcher, type Task } from './batcher.ts'
import { measuredLimits } from './limits.ts'
import { readRows, restoreRow, saveRows } from './saved-rows.ts'
import { PATIENCE } from './schedule.ts'
import { steadySizes } from './steady-sizes.ts'

const stopwatch = { milliseconds: 0 }
const provider = await chooseProvider('cpu', 1)
const checkpoint = await loadCheckpoint(tiny, provider, stopwatch)

/** Ticks of 6 evaluations of 8 × 8 latents. Not measured: the batchers here share one network, which is no good for two at once. */
const unmeasured = () => measuredLimits({ guessPositions: 6 * 64, measure: false })
const newBatcher = () => createBatcher({ limits: unmeasured() })

interface Asked {
	request?: Partial<Drawing>
	seeds?: number[]
	signal?: AbortSignal
	onProgress?: Task['onProgress']
}

const neverAborted = new AbortController().signal

async function develop(batcher: ReturnType<typeof createBatcher>, { request, seeds = [1], signal, onProgress }: Asked = {}) {
	const images: Tensor[] = []
	const { inferenceMs } = await batcher.develop({
		prepare: () => planFor(checkpoint, { ...base, ...request }),
		pictures: seeds.map((seed, n) => ({ n, seed })),
		signal: signal ?? neverAborted,
		onProgress: onProgress ?? (() => {}),
		onPicture: ({ n }, image) => {
			images[n] = image
		}
	})
	return { images, inferenceMs }
}

test('a picture has the same bits alone and among strangers', async () => {
	const guided: Asked = { request: { prompt: 'a small blue cone' }, seeds: [7] }
	const unguided: Asked = { request: { prompt: 'a large sphere', guidance: 1, steps: 9 }, seeds: [8] }
	const wide: Asked = { request: { width: 24 }, seeds: [9] }
	const alone = []
	for (const asked of [guided, unguided, wide]) {
		alone.push((await develop(newBatcher(), asked)).images)
	}
	const batcher = newBatcher()
	const strangers = [
		develop(batcher, { request: { steps: 7 }, seeds: [1, 2, 3] }),
		develop(batcher, { request: { guidance: 1, prompt: 'shiny' }, seeds: [4] })
	]
	const among = await Promise.all([guided, unguided, wide].map((asked) => develop(batcher, asked)))
	await Promise.all(strangers)
	expect(among.map(({ images }) => images)).toEqual(alone)
})

test('a request that comes in the middle joins at the next tick, and leaves when it is ready', async () => {
	const batcher = newBatcher()
	const order: string[] = []
	let late: Promise<unknown> | undefined
	const early = develop(batcher, {
		request: { steps: 40 },
		onProgress(done) {
			if (done === 3) {
				late = develop(batcher, { request: { steps: 4 }, seeds: [2] }).then(() => order.push('late'))
			}
		}
	}).then(() => order.push('early'))
	await early
	await late
	expect(order).toEqual(['late', 'early'])
})

test('rows of different shapes take turns', async () => {
	const batcher = newBatcher()
	const order: string[] = []
	await Promise.all([
		develop(batcher, { request: { steps: 30 } }).then(() => order.push('long')),
		develop(batcher, { request: { steps: 3, height: 24 } }).then(() => order.push('short'))
	])
	expect(order).toEqual(['short', 'long'])
})

test('calls that are filled up to steady sizes draw the same pictures', async () => {
	const limits = unmeasured()
	const sizes = new Set<number>()
	const steady = steadySizes()
	const batcher = createBatcher({
		limits,
		steady: {
			...steady,
			choose(...asked) {
				const size = steady.choose(...asked)
				sizes.add(size)
				return size
			}
		}
	})
	const all: Asked[] = [
		{ seeds: [1] },
		{ seeds: [2, 3], request: { guidance: 1, steps: 9 } },
		{ seeds: [4], request: { width: 24 } }
	]
	const drawn = await Promise.all(all.map((asked) => develop(batcher, asked)))
	for (const [i, asked] of all.entries()) {
		expect(drawn[i]!.images).toEqual((await develop(newBatcher(), asked)).images)
	}
	expect(sizes).toContain(4)
	expect(sizes).not.toContain(3)
})

test('more rows than a batch holds are all developed', async () => {
	const { images } = await develop(newBatcher(), { seeds: Array.from({ length: 9 }, (_, i) => i) })
	expect(images.map(({ dims }) => dims)).toEqual(Array(9).fill([3, 16, 16]))
})

test('progress counts the evaluations of every picture', async () => {
	const heard: [number, number][] = []
	await develop(newBatcher(), { seeds: [1, 2], onProgress: (done, total) => heard.push([done, total]) })
	expect(heard).toEqual([0, 2, 4, 6, 8, 10].map((done) => [done, 10]))
})

test('infinity fails its own picture, by name, and nobody else', async () => {
	const batcher = newBatcher()
	const good = develop(batcher, { seeds: [5] })
	const bad = develop(batcher, { request: { guidance: 1e300 } })
	await expect(bad).rejects.toMatchObject({
		name: 'NotFinite',
		message: expect.stringContaining('latent of picture 0 after evaluation 1 of 5')
	})
	expect((await good).images).toEqual((await develop(newBatcher(), { seeds: [5] })).images)
})

test("a network's NaN names the network, and fails nobody else", async () => {
	const batcher = newBatcher()
	const good = develop(batcher, { seeds: [5] })
	const bad = batcher.develop({
		async prepare() {
			const plan = await planFor(checkpoint, base)
			const spoil = ({ data, dims }: Tensor) => ({ data: data.map(() => Number.NaN), dims })
			return { ...plan, evaluate: (row) => plan.evaluate(row).map(({ x, ...rest }) => ({ ...rest, x: spoil(x) })) }
		},
		pictures: [{ n: 2, seed: 1 }],
		signal: neverAborted,
		onProgress() {},
		onPicture() {}
	})
	await expect(bad).rejects.toMatchObject({
		name: 'NotFinite',
		message: expect.stringContaining('output of the U-Net for picture 2, evaluation 1 of 5')
	})
	expect((await good).images).toEqual((await develop(newBatcher(), { seeds: [5] })).images)
})

test('a request that cannot be prepared fails alone', async () => {
	const batcher = newBatcher()
	const good = develop(batcher)
	await expect(develop(batcher, { request: { steps: 0 } })).rejects.toThrow('steps: expected an integer from 1 to 1000, got 0')
	await expect(develop(batcher, { request: { width: 17 } })).rejects.toThrow('width: expected a multiple of 4, got 17')
	await expect(develop(batcher, { seeds: [1, -1] })).rejects.toThrow('seed: expected an integer from 0 to 4294967295, got -1')
	expect((await good).images).toHaveLength(1)
})

test('a cancel takes effect at the next tick, and the others go on', async () => {
	const ticks: number[] = []
	const batcher = createBatcher({ limits: unmeasured(), onTick: ({ size }) => ticks.push(size) })
	const cancel = new AbortController()
	let last = 0
	const canceled = develop(batcher, {
		request: { steps: 500 },
		signal: cancel.signal,
		onProgress(done) {
			last = done
			if (done === 4) {
				cancel.abort(new Error('changed my mind'))
			}
		}
	})
	const other = develop(batcher, { request: { steps: 50 } })
	await expect(canceled).rejects.toThrow('changed my mind')
	expect((await other).images).toHaveLength(1)
	expect(last).toBe(4)
	// Two branches each; the second joined after a tick, and was alone since the fourth.
	expect(ticks).toEqual([2, 4, 4, 4, ...Array(47).fill(2)])
})

test('who is canceled while others have their turn has none any more', async () => {
	let ticks = 0
	const batcher = createBatcher({ limits: unmeasured(), onTick: () => ticks++ })
	const cancel = new AbortController()
	let had = 0
	const canceled = develop(batcher, {
		request: { width: 24, steps: 500 },
		signal: cancel.signal,
		onProgress: (done) => {
			had = done
		}
	})
	const other = develop(batcher, {
		request: { steps: 10 },
		onProgress: (done) => done === 4 && cancel.abort(new Error('changed my mind'))
	})
	await expect(canceled).rejects.toThrow('changed my mind')
	await other
	expect(had).toBeGreaterThan(0)
	expect(ticks).toBe(10 + had)
})

test('while a large picture is decoded in tiles, others go on after each of them', async () => {
	const model = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		await cp(tiny, model, { recursive: true })
		await writeFile(path.join(model, 'darkroom.json'), '{"tiling":true}')
		const tiled = await loadCheckpoint(model, provider, stopwatch)
		const plan = await planFor(tiled, { ...base, width: 48, height: 48, steps: 1 })
		const batcher = newBatcher()
		let [done, begun, drawn] = [0, 0, 0]
		const other = develop(batcher, {
			request: { steps: 40 },
			onProgress(evaluations) {
				done = evaluations
			}
		})
		let image: Tensor | undefined
		await batcher.develop({
			prepare: async () => plan,
			pictures: [{ n: 0, seed: 2 }],
			signal: neverAborted,
			onProgress(evaluations) {
				begun = evaluations === 1 ? done : begun
			},
			onPicture(_, picture) {
				drawn = done
				image = picture
			}
		})
		// Four tiles by four, of 16 pixels that overlap by a quarter.
		expect(drawn - begun).toBe(15)
		const row = plan.start(2)
		plan.advance(row, await plan.denoiser.predict(plan.evaluate(row)))
		expect(image).toEqual(await plan.finish(row))
		await other
	} finally {
		await rm(model, { recursive: true })
	}
})

test('while texts and an image are encoded, others go on in between, and the bits are the same', async () => {
	const model = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		await cp(tiny, model, { recursive: true })
		for (const part of ['vae_encoder', 'vae_decoder']) {
			await cp(path.join(tiny, '../stable-diffusion', part), path.join(model, part), { recursive: true })
		}
		await writeFile(path.join(model, 'darkroom.json'), '{"tiling":true}')
		const tiled = await loadCheckpoint(model, provider, stopwatch)
		const image = { data: Float32Array.from({ length: 3 * 96 * 96 }, (_, i) => Math.sin(i)), dims: [3, 96, 96] }
		const drawing: Drawing = { ...base, task: 'image-to-image', width: 96, height: 96, strength: 0.5, image }
		const batcher = newBatcher()
		let done = 0
		const other = develop(batcher, {
			request: { steps: 400 },
			onProgress(evaluations) {
				done = evaluations
			}
		})
		const parts: number[] = []
		let begun: Tensor | undefined
		await batcher.develop({
			prepare: (pause) =>
				planFor(tiled, drawing, () => {
					parts.push(done)
					for (const until = performance.now() + 20; performance.now() < until; ) {
						// As long as the parts of larger models take: short ones share a turn.
					}
					return pause()
				}),
			pictures: [{ n: 0, seed: 2 }],
			signal: neverAborted,
			restore(_, row) {
				begun = structuredClone(row.x) // Its memory is for what comes after it.
			},
			onProgress() {},
			onPicture() {}
		})
		// Four tiles by four, and two texts.
		expect(parts).toHaveLength(18)
		expect(parts.at(-1)).toBeGreaterThan(parts[0]!)
		expect(begun).toEqual((await planFor(tiled, drawing)).start(2).x)
		await other
	} finally {
		await rm(model, { recursive: true })
	}
})

test('inference time counts shared calls whole', async () => {
	const batcher = newBatcher()
	const before = stopwatch.milliseconds
	const [a, b] = await Promise.all([develop(batcher), develop(batcher, { seeds: [2] })])
	const spent = stopwatch.milliseconds - before
	for (const { inferenceMs } of [a, b]) {
		expect(inferenceMs).toBeGreaterThan(0)
		expect(inferenceMs).toBeLessThan(spent)
	}
	// Both took part in all ticks, so together they have more than was spent.
	expect(a.inferenceMs + b.inferenceMs).toBeGreaterThan(spent)
})

test('a batch that does not get its memory is run in halves, and nobody fails', async () => {
	const limits = measuredLimits({ guessPositions: 6 * 64, measure: false })
	const batcher = createBatcher({ limits })
	const sizes: number[] = []
	const images: Tensor[] = []
	await batcher.develop({
		async prepare() {
			const plan = await planFor(checkpoint, base)
			const denoiser: typeof plan.denoiser = {
				...plan.denoiser,
				async predict(evaluations) {
					sizes.push(evaluations.length)
					if (evaluations.length > 3) {
						throw new Error('[ONNXRuntimeError] : Failed to allocate memory for requested buffer of size 123')
					}
					return plan.denoiser.predict(evaluations)
				}
			}
			return { ...plan, denoiser }
		},
		pictures: [5, 6, 7].map((seed, n) => ({ n, seed })),
		signal: neverAborted,
		onProgress() {},
		onPicture({ n }, image) {
			images[n] = image
		}
	})
	expect(sizes.slice(0, 3)).toEqual([6, 3, 3])
	expect(Math.max(...sizes.slice(3))).toBe(2)
	expect(images).toEqual((await develop(newBatcher(), { seeds: [5, 6, 7] })).images)
})

test('below the limit a newcomer begins with the next tick; at the limit within its patience', async () => {
	for (const [seats, most] of [
		[6, 1],
		[2, PATIENCE + 1]
	] as const) {
		let ticks = 0
		let came = Number.NaN
		let begun = Number.NaN
		const batcher = createBatcher({
			limits: measuredLimits({ guessPositions: seats * 64, measure: false }),
			onTick: () => {
				ticks += 1
			}
		})
		let late: Promise<unknown> | undefined
		const early = develop(batcher, {
			request: { steps: 40 },
			onProgress(done) {
				if (done === 10) {
					came = ticks
					late = develop(batcher, {
						request: { steps: 4 },
						seeds: [2],
						onProgress(done) {
							begun ||= done > 0 ? ticks : Number.NaN
						}
					})
				}
			}
		})
		await early
		await late
		// The tick in which it came has not been counted yet, nor has the one in which it began.
		expect(begun - came).toBeLessThanOrEqual(most)
	}
})

test('halted, its rows go on in another batcher to the same bits', async () => {
	const uninterrupted = await develop(newBatcher(), { request: { steps: 12 }, seeds: [1, 2] })
	const first = newBatcher()
	const images: Tensor[] = []
	const taskFor = (fields: Partial<Task>): Task => ({
		prepare: () => planFor(checkpoint, { ...base, steps: 12 }),
		pictures: [1, 2].map((seed, n) => ({ n, seed })),
		signal: neverAborted,
		onProgress() {},
		onPicture({ n }, image) {
			images[n] = image
		},
		...fields
	})
	const halted = Promise.withResolvers<void>()
	const task = taskFor({
		onProgress(done) {
			if (done === 10) {
				void first.halt().then(halted.resolve)
			}
		}
	})
	void first.develop(task)
	await halted.promise
	const rows = readRows('', saveRows('', first.rowsOf(task)))
	const progress: number[] = []
	await newBatcher().develop(
		taskFor({
			restore: ({ n }, row, plan) => restoreRow(row, rows.get(n)!, plan),
			onProgress: (done) => progress.push(done)
		})
	)
	expect(progress[0]).toBe(10)
	expect(images).toEqual(uninterrupted.images)
})

test('what was to be shown when its rows were saved is shown where they go on, and never is what was shown before', async () => {
	const batcher = newBatcher()
	const saved = Promise.withResolvers<Uint8Array>()
	const taskFor = (shown: [number, number, Tensor][], fields: Partial<Task>): Task => ({
		prepare: () => planFor(checkpoint, base),
		pictures: [1, 2].map((seed, n) => ({ n, seed })),
		signal: neverAborted,
		onProgress() {},
		wantsPartial: (_, { k }) => k === 2 || k === 4,
		onPartial: ({ n }, step, _, image) => shown.push([n, step, image]),
		onPicture() {},
		...fields
	})
	const shown: [number, number, Tensor][] = []
	const task = taskFor(shown, {
		onProgress(done) {
			if (done === 8) {
				saved.resolve(saveRows('', batcher.rowsOf(task)))
			}
		}
	})
	await batcher.develop(task)
	expect(shown.map(([n, step]) => [n, step])).toEqual([2, 4].flatMap((step) => [0, 1].map((n) => [n, step])))
	const rows = readRows('', await saved.promise)
	const again: [number, number, Tensor][] = []
	await newBatcher().develop(taskFor(again, { restore: ({ n }, row, plan) => restoreRow(row, rows.get(n)!, plan) }))
	expect(again).toEqual(shown.slice(2))
})

test('a guess that cannot be shown, as half-precision decoders overflow on early ones, is left out, and its picture is drawn', async () => {
	const { images } = await develop(newBatcher())
	const shown: number[] = []
	const drawn: Tensor[] = []
	let unshown: number[] | undefined
	const batcher = newBatcher()
	const task: Task = {
		async prepare() {
			const plan = await planFor(checkpoint, base)
			const finish: Plan['finish'] = async (row, pause) => {
				const { data, dims } = await plan.finish(row, pause)
				assertFinite({ data: row.k === 2 ? data.map(() => Number.POSITIVE_INFINITY) : data, dims }, 'sample')
				return { data, dims }
			}
			return { ...plan, finish }
		},
		pictures: [{ n: 0, seed: 1 }],
		signal: neverAborted,
		onProgress(done) {
			unshown = done === 4 ? batcher.rowsOf(task)[0]?.row.unshown?.map(({ k }) => k) : unshown
		},
		wantsPartial: (_, { k }) => k === 2 || k === 4,
		onPartial: (_, step) => shown.push(step),
		onPicture: (_, image) => drawn.push(image)
	}
	await batcher.develop(task)
	expect(shown).toEqual([4])
	expect(unshown).toEqual([4])
	expect(drawn).toEqual(images)
})

test('halted, it still shows what was to be shown', async () => {
	const batcher = newBatcher()
	const halted = Promise.withResolvers<void>()
	const shown: number[] = []
	void batcher.develop({
		prepare: () => planFor(checkpoint, base),
		pictures: [
			{ n: 0, seed: 1 },
			{ n: 1, seed: 2 }
		],
		signal: neverAborted,
		onProgress(done) {
			if (done === 4) {
				void batcher.halt().then(halted.resolve)
			}
		},
		wantsPartial: (_, { k }) => k === 2,
		onPartial: ({ n }) => shown.push(n),
		onPicture() {}
	})
	await halted.promise
	expect(shown).toEqual([0, 1])
})

test('without work, limits are measured, until there is some', async () => {
	const asked: number[] = []
	const batcher = createBatcher({
		limits: { ...unmeasured(), measure: async () => asked.push(asked.length) < 3 }
	})
	await develop(batcher)
	expect(asked).toEqual([])
	await vi.waitFor(() => expect(asked).toEqual([0, 1, 2]), 10_000)
	expect((await develop(batcher)).images).toHaveLength(1)
})
