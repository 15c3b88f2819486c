import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import type { Tensor } from '../../worker-gpu/onnx/tensor.ts'
import { ask, madeUpRows, type Shape, withPart } from './unet.ts'

/** Far apart, whole, and exact in float16: every exporter's timestep can say them. */
const TIMESTEPS = [981, 21] as const
/** Of the largest value. Both graphs run the same kernels on the same shapes, so that nothing but zero is expected. */
const TOLERANCE = 1e-5

/**
 * Shows that the U-Net of `rewritten` draws two rows of one batch at timesteps of their own: each as the U-Net of `original` draws it in a batch
 * whose rows all stand at that timestep. Throws a ModelError where they differ, which says so if that is for a row's company, and where the timestep
 * makes too little difference to tell.
 *
 * @param original where the timestep has rank 0 or 1
 */
export async function proveTimestep(original: string, rewritten: string, provider: Provider, shape: Shape): Promise<void> {
	const alone = await withPart(original, provider, async (part) => {
		const rows = madeUpRows(part, 2, shape)
		const { dims } = part.inputs.get('timestep')!
		const answers: Tensor[][] = []
		for (const t of TIMESTEPS) {
			const shape = dims.length === 0 ? [] : typeof dims[0] === 'number' ? [dims[0]] : [2]
			answers.push(await ask(part, rows, { data: Array(shape[0] ?? 1).fill(t), dims: shape }, 2))
		}
		return answers
	})
	const together = await withPart(rewritten, provider, (part) =>
		ask(part, madeUpRows(part, 2, shape), { data: TIMESTEPS, dims: [2] }, 2)
	)
	const largest = Math.max(...together.map(({ data }) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)))
	const apart = (answers: readonly [Tensor, Tensor]) =>
		Math.max(...answers.map((answer, row) => furthest(answer, together[row]!))) / largest
	const error = apart([alone[0]![0]!, alone[1]![1]!])
	const swapped = apart([alone[1]![0]!, alone[0]![1]!])
	if (!(error <= TOLERANCE)) {
		const [one] = await withPart(original, provider, (part) => {
			const { dims } = part.inputs.get('timestep')!
			return ask(part, madeUpRows(part, 2, shape), { data: [TIMESTEPS[0]], dims: dims.map(() => 1) }, 1)
		})
		const company = furthest(one!, alone[0]![0]!) / largest
		if (company > TOLERANCE) {
			throw new ModelError(
				original,
				`expected a row to be answered the same whatever its company, but one alone is ${company.toExponential(1)} of the largest value away ` +
					'from the same one beside another: dynamic quantisation, which measures the whole batch, does that'
			)
		}
		throw new ModelError(
			original,
			`expected each row of a batch to follow its own timestep, but rows at ${TIMESTEPS.join(' and ')} in one batch are ${error.toExponential(1)} ` +
				'of the largest value away from what the graph gives for them as it was exported'
		)
	}
	if (!(swapped > 10 * TOLERANCE)) {
		throw new ModelError(original, `expected the timestep to matter, but ${TIMESTEPS.join(' and ')} give the same answer`)
	}
}

function furthest(a: Tensor, b: Tensor): number {
	return a.data.reduce((most, value, i) => {
		const distance = Math.abs(value - b.data[i]!)
		return Number.isNaN(distance) || Number.isNaN(most) ? Number.NaN : Math.max(most, distance)
	}, 0)
}
