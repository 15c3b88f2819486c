import path from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { createBatcher } from '../../../worker-gpu/engine/batcher.ts'
import { measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import { median } from '../statistics.ts'
import { sideBySide, type Way } from './lanes.ts'
import { type Model, scenesFolder } from './model.ts'

/**
 * Wall time of the batcher at steady load, over that of the very same calls made bare: the same sessions, in the same order, with copies of the same
 * inputs. What is left is what samplers, guidance, noise, stacking and choosing cost. They go call by call in turn.
 */
export async function overhead(model: Model, limit: number, rounds: number): Promise<number> {
	const calls = await recorded(() => steadyLoad(limit)(model))
	const ratios: number[] = []
	for (let round = -1; round < rounds; round++) {
		const [developed, bare] = await sideBySide(model, [steadyLoad(limit), replay(calls)])
		if (round >= 0) {
			ratios.push(developed!.lane.busy / bare!.lane.busy) // The first one warms up.
		}
	}
	return median(ratios)
}

const pictures = 8
const never = new AbortController().signal

/** Eight guided pictures of 25 steps. */
const steadyLoad =
	(limit: number) =>
	async ({ plan }: Model): Promise<void> => {
		const batcher = createBatcher({
			limits: measuredLimits({ guessPositions: limit * 16 ** 2, measure: false })
		})
		await Promise.all(
			Array.from({ length: pictures }, (_, seed) =>
				batcher.develop({
					prepare: () => plan({}),
					pictures: [{ n: 0, seed }],
					signal: never,
					onProgress() {},
					onPicture() {}
				})
			)
		)
		await batcher.halt()
	}

interface Call {
	readonly session: InferenceSession
	readonly feeds: InferenceSession.OnnxValueMapType
	readonly outputs: readonly string[]
}

/** Every run of any session while `work` is at it. */
async function recorded(work: () => Promise<void>): Promise<Call[]> {
	const calls: Call[] = []
	const any = await InferenceSession.create(path.join(scenesFolder, 'text_encoder/model.onnx'))
	const sessions: Pick<InferenceSession, 'run'> = Object.getPrototypeOf(any)
	const { run } = sessions
	sessions.run = function (this: InferenceSession, feeds: InferenceSession.OnnxValueMapType, outputs: readonly string[]) {
		calls.push({ session: this, feeds: copied(feeds), outputs })
		return run.call(this, feeds, outputs as never)
	} as typeof run
	try {
		await work()
	} finally {
		sessions.run = run
		await any.release()
	}
	return calls
}

/** The batcher uses the memory of its inputs again. */
const copied = (feeds: InferenceSession.OnnxValueMapType): InferenceSession.OnnxValueMapType =>
	Object.fromEntries(
		Object.entries(feeds).map(([name, feed]) => {
			const { type, data, dims } = feed as Tensor
			return [name, new Tensor(type, (data as Float32Array).slice() as never, dims)]
		})
	)

/** Its turn comes before each call of the U-Net, as the batcher's does. */
const replay =
	(calls: readonly Call[]): Way<void> =>
	async (_, lane) => {
		for (const { session, feeds, outputs } of calls) {
			if ('timestep' in feeds) {
				await lane.turn()
			}
			await session.run(feeds, outputs)
		}
	}
