import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import type { Tensor } from '../../worker-gpu/onnx/tensor.ts'
import { ask, madeUpRows, type Shape, withPart } from './unet.ts'

/** Far apart, whole, and exact in float16: every exporter's timestep can say them. */
const TIMESTEPS = [981, 21] as const
/** Of the largest value. Both graphs run the same kernels on the same shapes, so that nothing but zero is expected. */
const TOLERANCE = 1e-5
/** Where halves are computed with in float32, ONNX Runtime rounds in between as its optimisations leave it. */
const TOLERANCE_OF_HALVES = 5e-3

/**
 * Shows that the U-Net of `rewritten` draws the rows of one batch at timesteps of their own: each as the U-Net of `original` draws it in a batch
 * whose rows all stand at that timestep. Throws a ModelError where they differ, and where the timestep makes too little difference to tell.
 *
 * @param original where the timestep has rank 0 or 1
 * @param count rows of a batch; a row that goes alone stands at one timestep after the other
 * @param half whether weights are in float16
 */
export async function proveTimestep(
	original: string,
	rewritten: string,
	provider: Provider,
	shape: Shape,
	count: number,
	half = false
): Promise<void> {
	const alone = await withPart(original, provider, async (part) => {
		const rows = madeUpRows(part, count, shape)
		const { dims } = part.inputs.get('timestep')!
		const answers: Tensor[][] = []
		for (const t of TIMESTEPS) {
			const shape = dims.length === 0 ? [] : typeof dims[0] === 'number' ? [dims[0]] : [count]
			answers.push(await ask(part, rows, { data: Array(shape[0] ?? 1).fill(t), dims: shape }, count))
		}
		return answers
	})
	/** Which timestep a row stands at, in each batch. */
	const turns = (count === 1 ? [0, 1] : [0]).map((first) => Array.from({ length: count }, (_, row) => (first + row) % 2))
	const together = await withPart(rewritten, provider, async (part) => {
		const rows = madeUpRows(part, count, shape)
		const answers: Tensor[][] = []
		for (const turn of turns) {
			answers.push(await ask(part, rows, { data: turn.map((i) => TIMESTEPS[i]!), dims: [count] }, count))
		}
		return answers
	})
	const largest = Math.max(...together.flat().map(({ data }) => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)))
	/** Of what the rows are alone, at the timestep that is theirs or at the other one. */
	const apart = (other: 0 | 1) =>
		Math.max(...turns.flatMap((turn, n) => turn.map((i, row) => furthest(alone[i ^ other]![row]!, together[n]![row]!)))) / largest
	const [error, swapped] = [apart(0), apart(1)]
	if (!(error <= (half ? TOLERANCE_OF_HALVES : TOLERANCE))) {
		throw new ModelError(
			original,
			`expected each row of a batch to follow its own timestep, but rows at ${TIMESTEPS.join(' and ')} in one batch are ${error.toExponential(1)} ` +
				'of the largest value away from what the graph gives for them as it was exported'
		)
	}
	if (!(swapped > 10 * Math.max(error, TOLERANCE))) {
		throw new ModelError(original, `expected the timestep to matter, but ${TIMESTEPS.join(' and ')} give the same answer`)
	}
}

/**
 * Shows that a U-Net with a ControlNet in its graph is steered by each row's own map, as strongly as the row's own scale says, and by a scale of 0 not at all: it is what
 * draws where nothing steers. Throws a ModelError where that is not so. The batch has two rows.
 */
export async function proveSteering(folder: string, provider: Provider, shape: Shape, half = false): Promise<void> {
	const [unsteered, steered] = await withPart(folder, provider, async (part) => {
		const rows = Object.entries(madeUpRows(part, 2, shape)).map(([name, { data, dims }]): [string, Tensor] => {
			const first = data.subarray(0, data.length / 2)
			return [name, { data: name === 'controlnet_cond' ? data : Float32Array.of(...first, ...first), dims }]
		})
		const timestep = { data: [TIMESTEPS[0], TIMESTEPS[0]], dims: [2] }
		const by = (...scales: number[]) =>
			ask(part, { ...Object.fromEntries(rows), conditioning_scale: { data: Float32Array.from(scales), dims: [2] } }, timestep, 2)
		return [await by(0, 0), await by(1, 0)]
	})
	const [plain, other] = unsteered as [Tensor, Tensor]
	const largest = plain.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
	const apart = (tensor: Tensor) => furthest(plain, tensor) / largest
	const tolerance = half ? TOLERANCE_OF_HALVES : TOLERANCE
	const off = Math.max(apart(other), apart(steered![1]!))
	if (!(off <= tolerance)) {
		throw new ModelError(
			folder,
			`expected conditioning_scale 0 to leave a row as it is without a map, but rows with different maps are ${off.toExponential(1)} of the largest value apart`
		)
	}
	if (!(apart(steered![0]!) > 10 * tolerance)) {
		throw new ModelError(
			folder,
			'expected controlnet_cond to matter with conditioning_scale 1, but it gives the same answer as with 0'
		)
	}
}

function furthest(a: Tensor, b: Tensor): number {
	return a.data.reduce((most, value, i) => {
		const distance = Math.abs(value - b.data[i]!)
		return Number.isNaN(distance) || Number.isNaN(most) ? Number.NaN : Math.max(most, distance)
	}, 0)
}
