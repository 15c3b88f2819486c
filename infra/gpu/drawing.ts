import { createBatcher, type Tick } from '../../worker-gpu/engine/batcher.ts'
import { type BatchLimits, measuredLimits } from '../../worker-gpu/engine/limits.ts'
import { steadySizes } from '../../worker-gpu/engine/steady-sizes.ts'
import type { Evaluation } from '../../worker-gpu/ldm/denoiser.ts'
import type { Plan } from '../../worker-gpu/ldm/plan.ts'
import type { Stopwatch } from '../../worker-gpu/onnx/part.ts'
import type { Measured } from './models.ts'

/** Milliseconds of calls with the evaluations of so many pictures: the first of its shape, in which it is planned, and the fastest of three more. */
export async function callMs(
	{ denoiser }: Plan,
	asked: readonly Evaluation[],
	pictures: number
): Promise<{ first: number; ms: number }> {
	const evaluations = Array.from({ length: pictures }, () => asked).flat()
	const times: number[] = []
	for (let i = 0; i < 4; i++) {
		const began = performance.now()
		await denoiser.predict(evaluations)
		times.push(performance.now() - began)
	}
	const [first, ...others] = times as [number, ...number[]]
	return { first, ms: Math.min(...others) }
}

interface Drawn {
	/** From the request to the last picture, and of that inside ONNX Runtime's calls of the U-Net. */
	readonly ms: number
	readonly inferenceMs: number
	/** Of all ticks: what is not spent inside ONNX Runtime. */
	readonly hostShare: number
}

/** Draws that many pictures of one request with the engine's own batcher. */
export async function drawTogether(
	{ plan, stopwatch, drawing }: Measured,
	pictures: number,
	plansShapes: boolean,
	steps = drawing.steps
): Promise<Drawn> {
	const ticks: Tick[] = []
	const batcher = batcherFor(stopwatch, unlimited, plansShapes, (tick) => ticks.push(tick))
	const began = performance.now()
	await batcher.develop({
		prepare: () => plan({ steps }),
		pictures: Array.from({ length: pictures }, (_, n) => ({ n, seed: n })),
		signal: new AbortController().signal,
		onProgress() {},
		onPicture() {}
	})
	const ms = performance.now() - began
	await batcher.halt()
	const sum = (of: 'ms' | 'inferenceMs') => ticks.reduce((total, tick) => total + tick[of], 0)
	return { ms, inferenceMs: sum('inferenceMs'), hostShare: 1 - sum('inferenceMs') / sum('ms') }
}

const unlimited = measuredLimits({ guessPositions: Number.POSITIVE_INFINITY, measure: false })

/** As the engine's process makes it. */
export const batcherFor = (
	stopwatch: Stopwatch,
	limits: BatchLimits,
	plansShapes: boolean,
	onTick: (tick: Tick) => void = () => {}
) =>
	createBatcher({
		limits,
		inferenceMs: () => stopwatch.milliseconds,
		onTick,
		steady: plansShapes ? steadySizes() : undefined
	})
