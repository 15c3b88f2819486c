import { concatenate } from '../../onnx/tensor.ts'
import type { Drawing } from '../drawing.ts'
import type { Pipeline } from '../plan.ts'
import { binary, blend, given, shrunk, without } from './inputs.ts'
import { steering } from './steering.ts'
import { type Parts, textGuidance } from './text.ts'
import { latentDims, pureNoise, walk } from './walk.ts'

/*
 * Draws anew where the mask is, as diffusers' StableDiffusionInpaintPipeline does with two kinds of U-Net.
 */

/** With a U-Net that is shown the mask and the rest of the image beside the latent: 4 + 1 + 4 channels. */
export const inpainting: Pipeline<Parts> = async (drawing, parts, pause) => {
	const { denoiser, firstStage } = parts
	const { dims, sampler, fresh, image, mask, small } = prepare(drawing, parts)
	const whole = fresh ? undefined : await firstStage.encode(image, pause)
	const rest = await firstStage.encode(without(image, mask), pause)
	return walk({
		denoiser,
		sampler,
		guidance: await textGuidance(drawing, parts, pause),
		told: steering(drawing, denoiser, sampler),
		begin(noise) {
			const x0 = whole?.(noise)
			const e = noise.normal(dims)
			return { x: x0 ? sampler.renoise(x0, e, 0) : pureNoise(sampler, e), given: [concatenate([small, rest(noise)], 0)] }
		},
		beside: ({ given: [known] }) => known!,
		finish: firstStage.decode
	})
}

/** With any U-Net: after each evaluation the known region is put back, with as much of its own noise as the next one expects. */
export const inpaintingByBlending: Pipeline<Parts> = async (drawing, parts, pause) => {
	const { denoiser, firstStage } = parts
	const { dims, sampler, fresh, image, small } = prepare(drawing, parts)
	const whole = await firstStage.encode(image, pause)
	return walk({
		denoiser,
		sampler,
		guidance: await textGuidance(drawing, parts, pause),
		told: steering(drawing, denoiser, sampler),
		begin(noise) {
			const x0 = whole(noise)
			const e = noise.normal(dims)
			// The reference draws the latent of the masked image here, as it has drawn this one, and never uses it.
			whole(noise)
			return { x: fresh ? pureNoise(sampler, e) : sampler.renoise(x0, e, 0), given: [x0, e] }
		},
		settle({ x, k, given: [x0, e] }) {
			const known = k < sampler.timesteps.length ? sampler.renoise(x0!, e!, k) : x0!
			return blend(known, x, small)
		},
		finish: firstStage.decode
	})
}

function prepare(drawing: Drawing, { denoiser, firstStage, samplerFor, lastPartFor }: Parts) {
	// At full strength it begins with nothing but noise, and not with what the last level leaves of the image.
	const fresh = drawing.strength === 1
	const mask = binary(given(drawing, 'mask'))
	return {
		dims: latentDims(drawing, denoiser, firstStage),
		sampler: fresh ? samplerFor(drawing) : lastPartFor(drawing),
		fresh,
		image: given(drawing, 'image'),
		mask,
		small: shrunk(mask, firstStage.factor)
	}
}
