import { expect, test } from 'vitest'
import { tiny, tinyDrawing } from '../golden/tiny.ts'
import { loadCheckpoint, planFor } from '../ldm/checkpoint.ts'
import type { Evaluation } from '../ldm/denoiser.ts'
import type { Drawing } from '../ldm/drawing.ts'
import { asOnCuda, chooseProvider } from '../onnx/provider.ts'
import type { Tensor } from '../onnx/tensor.ts'
import { createBatcher, type Task } from './batcher.ts'
import { measuredLimits } from './limits.ts'
import { steadySizes } from './steady-sizes.ts'

const provider = await chooseProvider('cpu', 1)
const stopwatch = { milliseconds: 0 }
const [here, there] = [
	await loadCheckpoint(tiny, provider, { milliseconds: 0 }),
	await loadCheckpoint(tiny, asOnCuda(provider), stopwatch)
]

const base = { ...tinyDrawing, guidance: 1 }

const unmeasured = measuredLimits({ guessPositions: 1, measure: false })
/** Of 8 evaluations a call, or 2 where two calls take turns. */
const twoLanes = (more: Partial<Parameters<typeof createBatcher>[0]> = {}) =>
	createBatcher({ limits: { ...unmeasured, of: () => ({ most: 8, light: 2 }) }, lanes: 2, ...more })

/** Calls that wait for the test; then they are made. */
function held() {
	const calls: { evaluations: readonly Evaluation[]; fail(error: Error): void; go(): void }[] = []
	let asked = Promise.withResolvers<void>()
	return {
		calls,
		/** Resolves when so many have been asked for. */
		async until(count: number): Promise<void> {
			while (calls.length < count) {
				await asked.promise
			}
		},
		async plan(fields: Partial<Drawing>) {
			const plan = await planFor(here, { ...base, ...fields })
			const denoiser: typeof plan.denoiser = {
				...plan.denoiser,
				async predict(evaluations) {
					const gate = Promise.withResolvers<void>()
					calls.push({ evaluations, go: gate.resolve, fail: gate.reject })
					asked.resolve()
					asked = Promise.withResolvers()
					await gate.promise
					return plan.denoiser.predict(evaluations)
				}
			}
			return { ...plan, denoiser }
		}
	}
}

const taskOf = (prepare: Task['prepare'], seeds: readonly number[], fields: Partial<Task> = {}): Task => ({
	prepare,
	pictures: seeds.map((seed, n) => ({ n, seed })),
	signal: new AbortController().signal,
	onProgress() {},
	onPicture() {},
	...fields
})

/** Lets all that can go on do so. */
const settled = () => new Promise((resolve) => setImmediate(resolve))

test('while one call is under way the next one is asked for, with other rows, and theirs go on when it ends', async () => {
	const { calls, until, plan } = held()
	const done: number[] = []
	const developing = twoLanes().develop(taskOf(() => plan({ steps: 3 }), [1, 2, 3, 4], { onProgress: (at) => done.push(at) }))
	await until(2)
	await settled()
	expect(calls.map(({ evaluations }) => evaluations.length)).toEqual([2, 2])
	const [first, second] = calls.map(({ evaluations }) => evaluations.map(({ x }) => x))
	expect(first!.filter((x) => second!.includes(x))).toEqual([])
	for (let i = 0; i < 6; i++) {
		await until(Math.min(i + 2, 6))
		calls[i]!.go()
	}
	await developing
	expect(calls).toHaveLength(6)
	expect(done).toEqual([0, 2, 4, 6, 8, 10, 12])
})

test('rows that are too few for two calls share one, and whoever comes meanwhile is in the next', async () => {
	const { calls, until, plan } = held()
	const batcher = twoLanes()
	const three = batcher.develop(taskOf(() => plan({ steps: 2 }), [1, 2, 3]))
	await until(1)
	const heard: number[] = []
	const one = batcher.develop(taskOf(() => plan({ steps: 1 }), [4], { onProgress: (done) => heard.push(done) }))
	// It is taken in while the call is under way.
	await expect.poll(() => heard).toEqual([0])
	await settled()
	expect(batcher.load).toEqual({ active: 3, waiting: 0 })
	calls[0]!.go()
	await until(2)
	await settled()
	expect(calls.slice(1).map(({ evaluations }) => evaluations.length)).toEqual([2, 2])
	for (const { go } of calls.slice(1)) {
		go()
	}
	await Promise.all([one, three])
})

test('a call that fails ends its own rows alone; before each it is told whose calls are under way', async () => {
	const { calls, until, plan } = held()
	const suspects: number[] = []
	const batcher = twoLanes({ onCall: (tasks) => suspects.push(tasks.size) })
	const pictures: number[] = []
	const ending = [0, 1].map((i) =>
		batcher.develop(taskOf(() => plan({ steps: 1 }), [2 * i, 2 * i + 1], { onPicture: () => pictures.push(i) }))
	)
	await until(2)
	expect(suspects.at(-1)).toBe(2)
	calls[1]!.fail(new Error('no such kernel'))
	calls[0]!.go()
	const [good, bad] = await Promise.allSettled(ending)
	expect(good).toMatchObject({ status: 'fulfilled' })
	expect(bad).toMatchObject({ status: 'rejected', reason: new Error('no such kernel') })
	expect(pictures).toEqual([0, 0])
})

test('of how long calls take, one that failed says nothing', async () => {
	const { calls, until, plan } = held()
	const took: number[] = []
	const batcher = twoLanes({ steady: { ...steadySizes(), took: (_, size) => took.push(size) } })
	const failing = batcher.develop(taskOf(() => plan({ steps: 1 }), [1, 2, 3]))
	await until(1)
	calls[0]!.fail(new Error('no such kernel'))
	await expect(failing).rejects.toThrow('no such kernel')
	const good = batcher.develop(taskOf(() => plan({ steps: 1 }), [1]))
	await until(2)
	calls[1]!.go()
	await good
	expect(took).toEqual([1])
})

test('a cancel in the midst of a call leaves the others alone, and the batcher comes to an end', async () => {
	const { calls, until, plan } = held()
	const batcher = twoLanes()
	const cancel = new AbortController()
	const canceled = batcher.develop(taskOf(() => plan({ steps: 9, width: 24 }), [1, 2], { signal: cancel.signal }))
	await until(1)
	const others = batcher.develop(taskOf(() => plan({ steps: 2 }), [3, 4]))
	await until(2)
	cancel.abort(new Error('changed my mind'))
	await expect(canceled).rejects.toThrow('changed my mind')
	calls[1]!.go()
	await until(3)
	calls[0]!.go()
	calls[2]!.go()
	await others
	await batcher.halt()
	expect(calls).toHaveLength(3)
})

test('a call without its memory is made in halves, while the other one goes on', async () => {
	const { calls, until, plan } = held()
	const fell: number[] = []
	const batcher = twoLanes({
		limits: { ...unmeasured, of: () => ({ most: 8, light: 2 }), fell: (_, size) => fell.push(size) }
	})
	const pictures: Tensor[] = []
	const developing = batcher.develop(
		taskOf(() => plan({ steps: 1 }), [1, 2, 3, 4], { onPicture: ({ n }, image) => (pictures[n] = image) })
	)
	await until(2)
	calls[0]!.fail(new Error('Failed to allocate memory for requested buffer of size 123'))
	calls[1]!.go()
	await until(3)
	calls[2]!.go()
	await until(4)
	calls[3]!.go()
	await developing
	expect(calls.map(({ evaluations }) => evaluations.length)).toEqual([2, 2, 1, 1])
	expect(fell).toEqual([1])
	expect(pictures).toHaveLength(4)
})

test('halted, it waits for both calls and asks for no other', async () => {
	const { calls, until, plan } = held()
	const batcher = twoLanes()
	const task = taskOf(() => plan({ steps: 9 }), [1, 2, 3, 4])
	void batcher.develop(task)
	await until(2)
	let halted = false
	const halting = batcher.halt().then(() => {
		halted = true
	})
	calls[0]!.go()
	await settled()
	expect(halted).toBe(false)
	calls[1]!.go()
	await halting
	expect(calls).toHaveLength(2)
	expect(batcher.rowsOf(task).map(({ row }) => row.k)).toEqual([1, 1, 1, 1])
})

const mixed: readonly (readonly [Partial<Drawing>, number[]])[] = [
	[{ steps: 7 }, [1, 2, 3, 4, 5, 6, 7]],
	[{ guidance: 3, prompt: 'shiny', sampler: 'euler' }, [8, 9]],
	[{ width: 24, steps: 4 }, [10, 11, 12]],
	[{ steps: 12, negative_prompt: 'a sphere', guidance: 5 }, [13]]
]

test('with sessions in a thread of their own, pictures have the same bits whatever is in their calls, and calls their own time', async () => {
	const draw = async (batcher: ReturnType<typeof createBatcher>, checkpoint: typeof here) => {
		const drawn = mixed.map(async ([fields, seeds]) => {
			const images: Tensor[] = []
			const prepare: Task['prepare'] = (pause) => planFor(checkpoint, { ...base, ...fields }, pause)
			const { inferenceMs } = await batcher.develop(taskOf(prepare, seeds, { onPicture: ({ n }, image) => (images[n] = image) }))
			return { images, inferenceMs }
		})
		return Promise.all(drawn)
	}
	const ticks: { size: number; inferenceMs: number }[] = []
	const steady = steadySizes()
	const batcher = twoLanes({ steady, onTick: (tick) => ticks.push(tick) })
	const got = await draw(batcher, there)
	const inAll = stopwatch.milliseconds
	const expected = await draw(createBatcher({ limits: measuredLimits({ guessPositions: 6 * 64, measure: false }) }), there)
	expect(got.map(({ images }) => images)).toEqual(expected.map(({ images }) => images))
	const inCalls = ticks.reduce((sum, { inferenceMs }) => sum + inferenceMs, 0)
	expect(inCalls).toBeLessThan(inAll)
	for (const { inferenceMs } of got) {
		expect(inferenceMs).toBeGreaterThan(0)
		expect(inferenceMs).toBeLessThan(stopwatch.milliseconds)
	}

	// One after the other, nobody shares a call: what they took is what there was.
	stopwatch.milliseconds = 0
	let sum = 0
	for (const [fields, seeds] of mixed) {
		sum += (await batcher.develop(taskOf(() => planFor(there, { ...base, ...fields }), seeds.slice(0, 1)))).inferenceMs
	}
	expect(sum).toBeCloseTo(stopwatch.milliseconds, 6)
})

test('of two at once in calls of their own, none has the time of the other', async () => {
	const batcher = twoLanes()
	stopwatch.milliseconds = 0
	const spent = await Promise.all(
		[16, 24].map((width) => batcher.develop(taskOf(() => planFor(there, { ...base, steps: 20, width }), [1, 2])))
	)
	expect(spent[0]!.inferenceMs + spent[1]!.inferenceMs).toBeCloseTo(stopwatch.milliseconds, 6)
})
