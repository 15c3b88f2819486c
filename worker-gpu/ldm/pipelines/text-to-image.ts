import type { Pipeline } from '../plan.ts'
import { steering } from './steering.ts'
import { type Parts, textGuidance } from './text.ts'
import { latentDims, pureNoise, walk } from './walk.ts'

/** Stable Diffusion's own way from a text to a picture, as in diffusers' StableDiffusionPipeline. */
export const textToImage: Pipeline<Parts> = async (drawing, parts, pause) => {
	const { denoiser, firstStage, samplerFor } = parts
	const dims = latentDims(drawing, denoiser, firstStage)
	const sampler = samplerFor(drawing)
	return walk({
		denoiser,
		sampler,
		guidance: await textGuidance(drawing, parts, pause),
		told: steering(drawing, denoiser, sampler),
		begin: (noise) => ({ x: pureNoise(sampler, noise.normal(dims)) }),
		finish: firstStage.decode
	})
}
