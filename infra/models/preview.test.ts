import path from 'node:path'
import { expect, test } from 'vitest'
import { shippedModels } from '../../worker-gpu/engine/client.ts'
import { shrink } from '../../worker-gpu/engine/preview.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import type { Drawing } from '../../worker-gpu/ldm/drawing.ts'
import { readFacts } from '../../worker-gpu/ldm/facts.ts'
import { generator } from '../../worker-gpu/ldm/noise.ts'
import { chooseProvider } from '../../worker-gpu/onnx/provider.ts'
import { draw, exampleDrawing } from './draw.ts'
import { explainedBy, fitPreview, type Pair } from './preview.ts'

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

test('pictures that are a linear map of their latents are fitted by that map', () => {
	const weight = [
		[0.1, -0.2, 0.05],
		[0.02, 0.15, -0.1],
		[-0.05, 0.01, 0.2]
	] as const
	const bias = [0.3, -0.1, 0.05] as const
	const noise = generator(1)
	const pairs = Array.from({ length: 3 }, (): Pair => {
		const latent = noise.normal([3, 4, 6])
		const at = (c: number, y: number, x: number) => latent.data[(c * 4 + y) * 6 + x]!
		// Each latent stands for 2 × 2 pixels.
		const image = Float32Array.from({ length: 3 * 8 * 12 }, (_, i) => {
			const [colour, y, x] = [Math.floor(i / 96), (Math.floor(i / 12) % 8) >> 1, (i % 12) >> 1]
			return weight[colour]!.reduce<number>((sum, w, c) => sum + w * at(c, y, x), bias[colour]!)
		})
		return { latent, image: { data: image, dims: [3, 8, 12] } }
	})
	const fitted = fitPreview(pairs)
	for (const colour of [0, 1, 2] as const) {
		expect(fitted.bias[colour]).toBeCloseTo(bias[colour], 3)
		for (const [c, w] of weight[colour].entries()) {
			expect(fitted.weight[colour][c]).toBeCloseTo(w, 3)
		}
	}
	expect(explainedBy(fitted, pairs)).toBeGreaterThan(0.999)
})
