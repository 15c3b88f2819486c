import type { Pipeline } from '../plan.ts'
import type { Noising } from '../samplers/noising.ts'
import { type Parts, textGuidance } from './text.ts'
import { latentDims, pureNoise, walk } from './walk.ts'

interface UpscaleParts extends Parts {
	/** What is done to the small picture. */
	readonly noising: Noising
	/** The highest noise_level. */
	readonly mostNoise: number
}

/** As the upscaler's pipeline has it where a request says nothing. */
const NOISE_LEVEL = 20

/**
 * Enlarges a small picture by the first stage's factor, as diffusers' StableDiffusionUpscalePipeline. The U-Net is shown the picture beside
 * the latent, which has its size, and told how much the picture was noised (Ho et al., 2021, conditioning augmentation).
 */
export const upscale: Pipeline<UpscaleParts> = async (drawing, parts, pause) => {
	const { denoiser, firstStage, noising, mostNoise } = parts
	const dims = latentDims(drawing, denoiser, firstStage)
	const { image, noise_level: level = NOISE_LEVEL } = drawing
	const [, height, width] = dims
	if (image?.dims[0] !== 3 || image.dims[1] !== height || image.dims[2] !== width) {
		const got = image ? `${image.dims[2]} × ${image.dims[1]}` : 'none'
		throw new RangeError(
			`image: expected one of ${width} × ${height}, ${1 / firstStage.factor} of the picture's size, got ${got}`
		)
	}
	if (!Number.isInteger(level) || level < 0 || level > mostNoise) {
		throw new RangeError(`noise_level: expected an integer from 0 to ${mostNoise}, got ${level}`)
	}
	const sampler = parts.samplerFor(drawing)
	return walk({
		denoiser,
		sampler,
		guidance: await textGuidance(drawing, parts, pause, { class_labels: { data: Float32Array.of(level), dims: [] } }),
		begin(noise) {
			const small = noising(image, noise.normal(image.dims), level)
			return { x: pureNoise(sampler, noise.normal(dims)), given: [small] }
		},
		beside: ({ given: [small] }) => small!,
		finish: firstStage.decode
	})
}
