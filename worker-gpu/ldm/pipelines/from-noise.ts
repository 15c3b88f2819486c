import type { Denoiser } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import type { FirstStage } from '../first-stages/first-stage.ts'
import type { Guidance } from '../guidance.ts'
import type { Plan } from '../plan.ts'
import type { SamplerFor } from '../samplers/load.ts'
import type { Sampler } from '../samplers/sampler.ts'
import { latentDims, pureNoise, type Walk, walk } from './walk.ts'

/** What every pipeline of the paper needs of a model. */
export interface WalkParts {
	readonly denoiser: Denoiser
	readonly firstStage: FirstStage
	readonly samplerFor: SamplerFor
}

/**
 * The walk of the paper's own pipelines: from pure noise to what the first stage decodes.
 *
 * @param own what a pipeline does in its own way
 */
export function fromNoise(
	drawing: Drawing,
	{ denoiser, firstStage, samplerFor }: WalkParts,
	guidance: Guidance,
	own: (sampler: Sampler) => Pick<Walk, 'beside'> & Partial<Pick<Walk, 'finish'>> = () => ({})
): Plan {
	const dims = latentDims(drawing, denoiser, firstStage)
	const sampler = samplerFor(drawing)
	return walk({
		denoiser,
		sampler,
		guidance,
		begin: (noise) => ({ x: pureNoise(sampler, noise.normal(dims)) }),
		finish: firstStage.decode,
		...own(sampler)
	})
}
