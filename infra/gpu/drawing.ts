import { type Batcher, createBatcher, type Tick } from '../../worker-gpu/engine/batcher.ts'
import { type BatchLimits, measuredLimits } from '../../worker-gpu/engine/limits.ts'
import type { Room } from '../../worker-gpu/engine/schedule.ts'
import { steadySizes } from '../../worker-gpu/engine/steady-sizes.ts'
import type { Evaluation } from '../../worker-gpu/ldm/denoiser.ts'
import type { Drawing } from '../../worker-gpu/ldm/drawing.ts'
import type { Plan } from '../../worker-gpu/ldm/plan.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
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
	/** Of the time of all ticks: how much of it, and what share, no call runs. */
	readonly hostMs: number
	readonly hostShare: number
}

/**
 * Draws that many pictures of one request with the engine's own batcher.
 *
 * @param most,light evaluations that a call holds, and of which two calls in turn are as good as one
 */
export async function drawTogether(
	{ plan, stopwatch, drawing }: Pick<Measured, 'plan' | 'stopwatch' | 'drawing'>,
	pictures: number,
	provider: Provider,
	{ steps = drawing.steps, most = Number.POSITIVE_INFINITY, light = most, ...fields }: Partial<Drawing> & Partial<Room> = {}
): Promise<Drawn> {
	const limits = { ...unlimited, of: () => ({ most, light }) }
	let inferenceMs = 0
	const now = () => ({ ms: performance.now(), calls: stopwatch.milliseconds })
	let [start, end] = [now(), now()]
	const batcher = batcherFor(provider, limits, (tick) => {
		inferenceMs += tick.inferenceMs
		end = now()
	})
	const began = performance.now()
	await batcher.develop({
		prepare: () => plan({ ...fields, steps }),
		pictures: Array.from({ length: pictures }, (_, n) => ({ n, seed: n })),
		signal: new AbortController().signal,
		onProgress(done) {
			start = done === 0 ? now() : start
		},
		onPicture() {}
	})
	const ms = performance.now() - began
	await batcher.halt()
	const spent = end.ms - start.ms
	const hostMs = spent - (end.calls - start.calls)
	return { ms, inferenceMs, hostMs, hostShare: hostMs / spent }
}

const unlimited = measuredLimits({ guessPositions: Number.POSITIVE_INFINITY, measure: false })

/** As the engine's process makes it. */
export const batcherFor = (
	{ plansShapes, ownThread }: Provider,
	limits: BatchLimits,
	onTick: (tick: Tick) => void = () => {}
): Batcher => createBatcher({ limits, onTick, steady: plansShapes ? steadySizes() : undefined, lanes: ownThread ? 2 : 1 })
