import { ModelError } from '../../onnx/model-error.ts'
import type { Family } from '../checkpoint.ts'
import { loadFirstStage } from '../first-stages/load.ts'
import { ldmInpainting } from '../pipelines/ldm-inpainting.ts'
import { expectBeside, loadWalkParts } from './walk-parts.ts'

/**
 * LDMInpaintPipeline, a name of our own for the paper's inpainting (CompVis/latent-diffusion, models/ldm/inpainting_big).
 *
 * | part | |
 * |---|---|
 * | `unet` | in_channels 2 C + 1: the latent, the masked image's latent, the mask; out_channels C, 3 in the paper |
 * | `vqvae_encoder`, `vqvae_decoder` | VQModel, see first-stages/vq.ts. Latents that are drawn were multiplied by its scaling_factor (1 in the paper), the masked image's are shown as they are encoded |
 */
export const ldmInpaintPipeline: Family = async (folder) => {
	if (!folder.has('vqvae_encoder')) {
		throw new ModelError(folder.path, 'expected a vqvae_encoder, which the masked image goes through, found none')
	}
	const parts = await loadWalkParts(folder, [], loadFirstStage(folder, { scaling: 'decoding' }))
	expectBeside(parts, parts.denoiser.latentChannels + 1, 'one of the masked image and the mask')
	return { inpainting: (drawing, pause) => ldmInpainting(drawing, parts, pause) }
}
