import type { Task } from '../../shared/tasks.ts'
import type { Drawing } from '../../worker-gpu/ldm/drawing.ts'
import type { Plan } from '../../worker-gpu/ldm/plan.ts'
import { assertFinite } from '../../worker-gpu/onnx/finite.ts'
import type { Tensor } from '../../worker-gpu/onnx/tensor.ts'
import type { Pair } from './preview.ts'

/** The least that every sampler takes: F-PNDM begins with three. */
const STEPS = 4

/** Something to draw with each of a model's tasks: of no meaning, but all inputs are there. */
export function exampleDrawing(task: Task, side: number, factor: number, change: Partial<Drawing> = {}): Drawing {
	const small = task === 'super-resolution' ? side / factor : side
	return {
		task,
		prompt: 'a photograph',
		negative_prompt: '',
		width: side,
		height: side,
		steps: STEPS,
		guidance: 1,
		guidance_rescale: 0,
		sampler: null,
		eta: null,
		strength: 1,
		image: gradient(3, small),
		mask: { data: gradient(1, side).data.map((value) => (value > 0 ? 1 : 0)), dims: [1, side, side] },
		semantic_map: { data: new Float32Array(side ** 2), dims: [1, side, side] },
		layout: [{ label: 0, box: [0, 0, 0.5, 0.5] }],
		class_label: 0,
		noise_level: 20,
		...change
	}
}

/** What may steer such a drawing, of a model with a ControlNet. */
export const exampleMap = (side: number): Tensor => ({
	data: gradient(3, side).data.map((value) => (value + 1) / 2),
	dims: [3, side, side]
})

const colours = ['red', 'green', 'blue', 'yellow', 'white', 'black', 'purple', 'orange']

/**
 * What pictures show that are to have as many colours as so few can; a grey one tells nothing of red. `known`: how many classes or labels the
 * model has, whatever they are.
 */
export const colourfulDrawings = (known: number, side: number): Partial<Drawing>[] =>
	colours.map((prompt, i) => {
		const label = Math.floor((i * known) / colours.length)
		return {
			prompt,
			class_label: label,
			layout: [{ label, box: [0, 0, 0.5, 0.5] }],
			// A band of each.
			semantic_map: {
				data: Float32Array.from({ length: side ** 2 }, (_, at) => Math.floor((at * known) / side ** 2)),
				dims: [1, side, side]
			}
		}
	})

/** Each channel grows from −1 to 1, along another diagonal. */
function gradient(channels: number, side: number): Tensor {
	const data = Float32Array.from({ length: channels * side ** 2 }, (_, i) => {
		const [c, y, x] = [Math.floor(i / side ** 2), Math.floor(i / side) % side, i % side]
		return ((y * (c + 1) + x) / ((c + 2) * side)) * 2 - 1
	})
	return { data, dims: [channels, side, side] }
}

/** Draws a picture from a seed. Throws where a number is not finite, and where it has other colours than red, green and blue. */
export async function draw(plan: Plan, seed: number): Promise<Pair> {
	const row = plan.start(seed)
	for (let k = 0; k < plan.evaluations; k++) {
		const answers = await plan.denoiser.predict(plan.evaluate(row))
		for (const answer of answers) {
			assertFinite(answer, 'output of the U-Net')
		}
		plan.advance(row, answers)
	}
	const image = await plan.finish(row)
	assertFinite(image, 'picture as decoded')
	if (image.dims[0] !== 3) {
		throw new Error(`unet: expected pictures of three channels, got ${image.dims[0]}`) // Of decoders it is known before.
	}
	return { latent: row.x, image }
}
