import path from 'node:path'
import { expect, test } from 'vitest'
import { shippedModels } from '../../worker-gpu/engine/client.ts'
import { shrink } from '../../worker-gpu/engine/preview.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import type { Drawing } from '../../worker-gpu/ldm/drawing.ts'
import { readFacts } from '../../worker-gpu/ldm/facts.ts'
import { chooseProvider } from '../../worker-gpu/onnx/provider.ts'
import { draw, exampleDrawing } from './draw.ts'
import { explainedBy, type Pair } from './preview.ts'

const cpu = await chooseProvider('cpu')

/** What the shipped map of a model explains of pictures that it was not fitted to. */
async function explained(model: string, drawings: readonly Drawing[]): Promise<{ share: number; pairs: Pair[] }> {
	const folder = path.join(shippedModels, model)
	const checkpoint = await loadCheckpoint(folder, cpu, { milliseconds: 0 })
	const pairs: Pair[] = []
	for (const [i, drawing] of drawings.entries()) {
		pairs.push(await draw(await planFor(checkpoint, drawing), 100 + i))
	}
	return { share: explainedBy((await readFacts(folder)).preview!, pairs), pairs }
}

test('the demo models’ previews have the colours of their pictures', async () => {
	const prompts = [
		'a large matte green cylinder on a white floor',
		'a large shiny red cube on a grey floor',
		'a small purple cone on a dark floor'
	]
	const text = prompts.map((prompt) => exampleDrawing('text-to-image', 128, 8, { prompt, steps: 10, guidance: 3 }))
	const { share, pairs } = await explained('scenes', text)
	expect(share).toBeGreaterThan(0.9)
	const small = pairs.map(({ image }) => ({ data: shrink(image, 32, 32), dims: [3, 32, 32] }))
	const larger = small.map((image) => exampleDrawing('super-resolution', 128, 4, { image, steps: 5 }))
	expect((await explained('scenes-super-resolution', larger)).share).toBeGreaterThan(0.9)
})
