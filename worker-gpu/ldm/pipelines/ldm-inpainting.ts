import { concatenate } from '../../onnx/tensor.ts'
import { unguided } from '../guidance.ts'
import { generator } from '../noise.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'
import { binary, blend, given, shrunk } from './inputs.ts'

/**
 * The paper's inpainting (§4.5), as the authors' scripts/inpaint.py: the network is shown the latent, the first stage's code of the image with
 * the masked region black, and the mask, −1 and 1. Pixels outside the mask stay those of the image.
 */
export const ldmInpainting: Pipeline<WalkParts> = async (drawing, parts, pause) => {
	const { firstStage } = parts
	const image = given(drawing, 'image')
	const mask = binary(given(drawing, 'mask'))
	const black = { data: new Float32Array(image.data.length).fill(-1), dims: image.dims }
	// VQ knows no distribution: nothing is drawn.
	const rest = (await firstStage.encode(blend(image, black, mask), pause))(generator(0))
	const small = shrunk(mask, firstStage.factor)
	const beside = concatenate([rest, { data: small.data.map((value) => 2 * value - 1), dims: small.dims }], 0)
	return fromNoise(drawing, parts, unguided({}), () => ({
		beside: () => beside,
		finish: async (x, pause) => blend(image, clamped(await firstStage.decode(x, pause)), mask)
	}))
}

const clamped = ({ data, dims }: { data: Float32Array; dims: readonly number[] }) => ({
	data: data.map((value) => Math.min(Math.max(value, -1), 1)),
	dims
})
