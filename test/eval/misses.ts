import { readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import type { SamplerName } from '../../shared/samplers.ts'
import { assembled, develop, drawingOf, type Golden, misses } from '../../worker-gpu/golden/pipelines.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import { chooseProvider, type Provider } from '../../worker-gpu/onnx/provider.ts'
import { root } from '../root.ts'

/** A model of a golden file. */
export interface GoldenModel {
	readonly name: string
	readonly golden: Golden
}

/** Of the largest value. */
export interface Worst {
	latent: number
	pixels: number
}

/** Those of all golden files of pipelines. */
export const goldenModels: readonly GoldenModel[] = [
	'stable-diffusion.json',
	'stable-diffusion-3.json',
	'flux.json',
	'paper.json'
].flatMap((file) => {
	const golden = JSON.parse(readFileSync(path.join(root, 'worker-gpu/golden', file), 'utf8')) as Golden
	return Object.keys(golden.models).map((name) => ({ name, golden }))
})

interface How {
	readonly provider?: Provider
	/** How many drawings; all by default. */
	readonly each?: number
	/** Where a part is, if not in its golden folder. */
	readonly placeOf?: (part: string) => string
}

/** Draws what there is of a model. The worst misses by pipeline (a model and a task), then by sampler. */
export async function worstMisses(
	{ name, golden }: GoldenModel,
	{ provider, each = Number.POSITIVE_INFINITY, placeOf = (part) => part }: How = {}
): Promise<Map<string, Map<SamplerName | null, Worst>>> {
	const worst = new Map<string, Map<SamplerName | null, Worst>>()
	const model = golden.models[name]!
	const parts = Object.fromEntries(Object.entries(model.parts).map(([part, folder]) => [part, placeOf(folder)]))
	const folder = await assembled({ ...model, parts })
	try {
		const checkpoint = await loadCheckpoint(folder, provider ?? (await chooseProvider('cpu', 1)), { milliseconds: 0 })
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
	} finally {
		await rm(folder, { recursive: true })
	}
	return worst
}
