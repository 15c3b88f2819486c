import type { Pipeline } from '../plan.ts'
import { given } from './inputs.ts'
import { steering } from './steering.ts'
import { type Parts, textGuidance } from './text.ts'
import { latentDims, walk } from './walk.ts'

/** An image, noised and walked back by a text (Meng et al., 2022, SDEdit), as in diffusers' StableDiffusionImg2ImgPipeline. */
export const imageToImage: Pipeline<Parts> = async (drawing, parts, pause) => {
	const { denoiser, firstStage, lastPartFor } = parts
	const dims = latentDims(drawing, denoiser, firstStage)
	const sampler = lastPartFor(drawing)
	const image = await firstStage.encode(given(drawing, 'image'), pause)
	return walk({
		denoiser,
		sampler,
		guidance: await textGuidance(drawing, parts, pause),
		told: steering(drawing, denoiser, sampler),
		begin(noise) {
			const x0 = image(noise)
			return { x: sampler.renoise(x0, noise.normal(dims), 0) }
		},
		finish: firstStage.decode
	})
}
