import { setTimeout as sleep } from 'node:timers/promises'
import { quantile } from '../../../test/bench/statistics.ts'
import type { Task } from '../../../worker-gpu/engine/batcher.ts'
import { type BatchLimits, measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import type { Provider } from '../../../worker-gpu/onnx/provider.ts'
import { batcherFor, drawTogether } from '../drawing.ts'
import type { Options } from '../main.ts'
import { loadModel, type Measured, providerFor } from '../models.ts'
import type { Report } from '../results.ts'

/** The engine's own promises on this machine, with the paper's text-to-image model: pictures of 256 × 256 pixels. */
export async function engine({ provider: choice, quick }: Options, report: Report): Promise<void> {
	const provider = await providerFor(choice)
	const model = await loadModel('text2im', provider, quick ? 'tiny' : 'real')
	const limits = await searched(model, provider, quick, report)
	await newcomers(model, provider, limits, quick, report)
	await mixed(model, provider, limits, quick, report)
}

/** The largest call that is worth it, as an idle engine finds it. */
async function searched({ plan }: Measured, { plansShapes }: Provider, quick: boolean, report: Report): Promise<BatchLimits> {
	const limits = measuredLimits({ guessPositions: 0, plansShapes, ...(quick && { most: 4 }) })
	const { denoiser, evaluate, start } = await plan()
	const row = start(0)
	const key = groupOf(denoiser.id, evaluate(row)[0]!.x.dims)
	const began = performance.now()
	limits.saw(key, denoiser, evaluate(row)[0]!)
	while (await limits.measure()) {
		// One call each time.
	}
	const seconds = (performance.now() - began) / 1000
	const room = limits.of(key, 1)
	await report('evaluations a call, as an idle engine measures them', `${room.most}, in ${seconds.toFixed(1)} s`)
	return { ...limits, of: () => room }
}

const groupOf = (id: string, dims: readonly number[]) => `${id} | x ${dims}`

/** How long newcomers wait for their first evaluation, in ticks, while eight guided pictures are drawn. */
async function newcomers(model: Measured, provider: Provider, limits: BatchLimits, quick: boolean, report: Report) {
	const ticks: number[] = []
	const batcher = batcherFor(provider, limits, ({ ms }) => ticks.push(ms))
	const stop = new AbortController()
	const develop = (seed: number, steps: number, onProgress: Task['onProgress'] = () => {}) =>
		batcher.develop({
			prepare: () => model.plan({ steps }),
			pictures: [{ n: 0, seed }],
			signal: stop.signal,
			onProgress,
			onPicture() {}
		})
	const busy = Array.from({ length: quick ? 1 : 8 }, (_, seed) => develop(seed, 1000).catch(() => {}))
	const waits: number[] = []
	for (let i = 0; i < (quick ? 2 : 20); i++) {
		await sleep(20)
		const came = performance.now()
		let first: number | undefined
		await develop(100 + i, 1, (done) => {
			first ??= done > 0 ? performance.now() - came : undefined
		})
		waits.push(first!)
	}
	stop.abort()
	await Promise.all(busy)
	await batcher.halt()
	const tick = quantile(ticks, 0.5)
	await report('a tick with eight guided pictures, median', `${tick.toFixed(1)} ms`)
	await report("from a newcomer's request to its first evaluation, in ticks, p99", (quantile(waits, 0.99) / tick).toFixed(1))
}

/** 64 requests of 10 to 100 steps at once, and some of them one after the other. */
async function mixed(model: Measured, provider: Provider, limits: BatchLimits, quick: boolean, report: Report) {
	const requests = Array.from({ length: quick ? 4 : 64 }, (_, i) => (quick ? 1 + (i % 2) : 10 + ((i * 37) % 91)))
	const sum = (steps: readonly number[]) => steps.reduce((total, each) => total + each, 0)
	const few = requests.filter((_, i) => i % 8 === 0)
	// Texts that are the same are encoded once.
	const promptOf = (i: number) => `${model.drawing.prompt}, ${i}`
	let alone = 0
	for (const [i, steps] of few.entries()) {
		alone += (await drawTogether(model, 1, provider, { steps, prompt: promptOf(requests.length + i) })).ms
	}

	const batcher = batcherFor(provider, limits)
	const calls = model.stopwatch.milliseconds
	const began = performance.now()
	await Promise.all(
		requests.map((steps, seed) =>
			batcher.develop({
				prepare: () => model.plan({ steps, prompt: promptOf(seed) }),
				pictures: [{ n: 0, seed }],
				signal: new AbortController().signal,
				onProgress() {},
				onPicture() {}
			})
		)
	)
	const together = performance.now() - began
	await batcher.halt()
	const gain = ((alone / sum(few)) * sum(requests)) / together
	await report(
		`${requests.length} requests of mixed steps at once, pictures a second`,
		((1000 * requests.length) / together).toFixed(2)
	)
	await report('that over one at a time, by the steps of every eighth', gain.toFixed(2), '≥ 4')
	const idle = 1 - (model.stopwatch.milliseconds - calls) / together
	await report('share of the time in which no call runs', `${(100 * idle).toFixed(1)} %`, '≤ 3 %')
}
