import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { SamplerName } from '../../shared/samplers.ts'
import { develop, drawingOf, type Golden, misses, open } from '../../worker-gpu/golden/pipelines.ts'
import { planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import { root } from '../root.ts'

const goldens = ['stable-diffusion.json', 'paper.json']

/** Of the largest value. */
export interface Worst {
	latent: number
	pixels: number
}

/**
 * Draws what the golden files of pipelines hold. The worst misses by pipeline (a model and a task), then by sampler.
 *
 * @param each how many drawings of each model; all by default
 */
export async function worstMisses(
	provider?: Provider,
	each = Number.POSITIVE_INFINITY
): Promise<Map<string, Map<SamplerName | null, Worst>>> {
	const worst = new Map<string, Map<SamplerName | null, Worst>>()
	for (const file of goldens) {
		const golden = JSON.parse(readFileSync(path.join(root, 'worker-gpu/golden', file), 'utf8')) as Golden
		for (const [name, model] of Object.entries(golden.models)) {
			const checkpoint = await open(model, provider)
			for (const expected of golden.drawn.filter((drawn) => drawn.model === name).slice(0, each)) {
				const { request } = expected
				const plan = await planFor(checkpoint, drawingOf(request))
				const { latent, pixels } = misses(await develop(plan, request.seed), expected, golden)
				const pipeline = `${name}, ${request.task}`
				const row = worst.get(pipeline) ?? new Map<SamplerName | null, Worst>()
				const before = row.get(request.sampler) ?? { latent: 0, pixels: 0 }
				row.set(request.sampler, { latent: Math.max(before.latent, latent), pixels: Math.max(before.pixels, pixels) })
				worst.set(pipeline, row)
			}
		}
	}
	return worst
}
