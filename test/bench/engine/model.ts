import path from 'node:path'
import { shippedModels } from '../../../worker-gpu/engine/client.ts'
import { type BatchLimits, measuredLimits } from '../../../worker-gpu/engine/limits.ts'
import type { Room } from '../../../worker-gpu/engine/schedule.ts'
import { type Checkpoint, loadCheckpoint, planFor } from '../../../worker-gpu/ldm/checkpoint.ts'
import type { Drawing } from '../../../worker-gpu/ldm/drawing.ts'
import type { Plan } from '../../../worker-gpu/ldm/plan.ts'
import { chooseProvider, type Provider } from '../../../worker-gpu/onnx/provider.ts'

export const scenesFolder = path.join(shippedModels, 'scenes')

/** The demo model in this process, so that nothing but the batcher is between a benchmark and ONNX Runtime. */
export interface Model {
	readonly checkpoint: Checkpoint
	readonly provider: Provider
	readonly limits: BatchLimits
	plan(fields: Partial<Drawing>): Promise<Plan>
}

const guided: Drawing = {
	task: 'text-to-image',
	prompt: 'a large shiny red sphere on a grey floor',
	negative_prompt: null,
	width: 128,
	height: 128,
	steps: 25,
	guidance: 3,
	guidance_rescale: 0,
	sampler: null,
	eta: null,
	strength: 1
}

export async function loadModel(): Promise<Model> {
	const provider = await chooseProvider('cpu')
	const checkpoint = await loadCheckpoint(scenesFolder, provider, { milliseconds: 0 })
	// Of 128 × 128 pixels, as the engine guesses before it has measured.
	const limits = measuredLimits({ guessPositions: 16 * 16 ** 2 })
	return { checkpoint, provider, limits, plan: (fields) => planFor(checkpoint, { ...guided, ...fields }) }
}

/** Measures the batch limit of guided 128 × 128 pictures, as an idle engine does. */
export async function measureLimit({ plan, limits }: Model): Promise<Room> {
	const { denoiser, evaluate, start } = await plan({})
	const [evaluation] = evaluate(start(1))
	limits.saw(shape, denoiser, evaluation!)
	while (await limits.measure()) {
		// One call each time.
	}
	return limits.of(shape, 16 ** 2)
}

const shape = 'guided 128 × 128'
