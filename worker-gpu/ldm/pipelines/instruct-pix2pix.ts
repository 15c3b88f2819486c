import { volume } from '../../onnx/tensor.ts'
import { guidedByBoth, unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { given } from './inputs.ts'
import type { Parts } from './text.ts'
import { latentDims, pureNoise, walk } from './walk.ts'

/** As the pipeline has it where a request says nothing. */
const IMAGE_GUIDANCE = 1.5

/**
 * Does to an image what a text says (Brooks et al., 2023, InstructPix2Pix), as diffusers' StableDiffusionInstructPix2PixPipeline: from noise alone, with a U-Net
 * that is shown the image's latent beside its own. Guidance compares with no text, and with no image either: a latent of zeros.
 */
export const instructPix2Pix: Pipeline<Parts> = async (drawing, parts, pause) => {
	const { conditioner, denoiser, firstStage, samplerFor } = parts
	const { prompt, negative_prompt, guidance, image_guidance = IMAGE_GUIDANCE, guidance_rescale, width, height } = drawing
	const dims = latentDims(drawing, denoiser, firstStage)
	if (!(image_guidance >= 1)) {
		throw new RangeError(`image_guidance: expected a number from 1 on, got ${image_guidance}`)
	}
	const sampler = samplerFor(drawing)
	const guides = guidance > 1
	const image = await firstStage.encode(given(drawing, 'image'), pause)
	const none = { data: new Float32Array(volume(dims)), dims }
	const told = await conditioner.encode({ text: prompt, width, height }, pause)
	const untold = guides ? await conditioner.encode({ text: negative_prompt, negative: true, width, height }, pause) : told
	return walk({
		denoiser,
		sampler,
		guidance: guides ? guidedByBoth(told, untold, guidance, image_guidance, guidance_rescale) : unguided(told),
		begin: (noise) => ({ x: pureNoise(sampler, noise.normal(dims)), given: [image(noise)] }),
		beside: ({ given: [image] }) => (guides ? [image!, image!, none] : image!),
		finish: firstStage.decode
	})
}
