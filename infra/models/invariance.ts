import type { Part } from '../../worker-gpu/onnx/part.ts'
import type { Tensor } from '../../worker-gpu/onnx/tensor.ts'
import { ask, madeUpRows, type Shape } from './unet.ts'

/** Batches are compared up to this many rows. */
export const LARGEST_BATCH = 8

/**
 * The smallest batch whose rows come out with the same bits in every larger one that was tried, `LARGEST_BATCH` the last of them; undefined
 * where there is none but that last one itself. Kernels are chosen by shape, so sizes are tried too.
 *
 * @param tick called after each run, `shapes.length * LARGEST_BATCH` times
 */
export async function measureInvariance(part: Part, shapes: readonly Shape[], tick: () => void): Promise<number | undefined> {
	let from = 1
	for (const shape of shapes) {
		const rows = madeUpRows(part, LARGEST_BATCH, shape)
		const answers: Tensor[][] = []
		for (let count = 1; count <= LARGEST_BATCH; count++) {
			// Rows of a batch stand at different steps of their walks.
			const timesteps = Array.from({ length: count }, (_, row) => 981 - 120 * row)
			answers.push(await ask(part, rows, { data: timesteps, dims: [count] }, count))
			tick()
		}
		const largest = answers.at(-1)!
		const different = answers.findLastIndex((batch) => batch.some((row, i) => !sameBits(row, largest[i]!)))
		from = Math.max(from, different + 2)
	}
	return from < LARGEST_BATCH ? from : undefined
}

const sameBits = (a: Tensor, b: Tensor): boolean => a.data.every((value, i) => Object.is(value, b.data[i]))
