import type { Part } from '../../worker-gpu/onnx/part.ts'
import type { Tensor } from '../../worker-gpu/onnx/tensor.ts'
import { ask, madeUpRows, type Shape } from './unet.ts'

/** Batches are compared up to this many rows. */
export const LARGEST_BATCH = 8

/**
 * The smallest batch whose rows come out with the same bits in every larger one that was tried, in whatever place, `LARGEST_BATCH` the last of them; undefined
 * where there is none but that last one itself. Kernels are chosen by shape, so sizes are tried too. Some read four numbers at once from where a row begins that lies
 * well in memory, which with odd sizes not every row does.
 *
 * @param tick called after each run, `shapes.length * (LARGEST_BATCH + 1)` times
 */
export async function measureInvariance(part: Part, shapes: readonly Shape[], tick: () => void): Promise<number | undefined> {
	let from = 1
	for (const shape of shapes) {
		const rows = madeUpRows(part, 2 * LARGEST_BATCH, shape)
		/** Rows of a batch stand at different steps of their walks. */
		const answersOf = async (first: number, count: number): Promise<Tensor[]> => {
			const timesteps = Array.from({ length: count }, (_, row) => 981 - 60 * (first + row))
			const answers = await ask(part, rows, { data: timesteps, dims: [count] }, count, first)
			tick()
			return answers
		}
		const expected = [...(await answersOf(0, LARGEST_BATCH)), ...(await answersOf(LARGEST_BATCH, LARGEST_BATCH))]
		for (let count = 1; count < LARGEST_BATCH; count++) {
			// Not in the places that they had.
			const answers = await answersOf(count, count)
			if (!answers.every((answer, i) => sameBits(answer, expected[count + i]!))) {
				from = Math.max(from, count + 1)
			}
		}
	}
	return from < LARGEST_BATCH ? from : undefined
}

const sameBits = (a: Tensor, b: Tensor): boolean => a.data.every((value, i) => Object.is(value, b.data[i]))
