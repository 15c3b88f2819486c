import { unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'
import { given } from './inputs.ts'

/**
 * Enlarges an image by the first stage's factor, as diffusers' LDMSuperResolutionPipeline: the network is shown the image beside the latent,
 * which has its size. What is scaled is both.
 */
export const ldmSuperResolution: Pipeline<WalkParts> = async (drawing, parts) => {
	const { factor } = parts.firstStage
	const image = given({ ...drawing, width: drawing.width / factor, height: drawing.height / factor }, 'image')
	return fromNoise(drawing, parts, unguided({}), (sampler) => ({
		beside: ({ k }) => sampler.scale(image, k)
	}))
}
