import type { Family } from '../checkpoint.ts'
import { loadFirstStage } from '../first-stages/load.ts'
import { ldmSuperResolution } from '../pipelines/ldm-super-resolution.ts'
import { expectBeside, loadWalkParts } from './walk-parts.ts'

/**
 * LDMSuperResolutionPipeline of diffusers: `unet` is shown the latent and the small image, `vqvae_decoder` enlarges by f. Its scaling_factor is left
 * out, as the reference leaves it out.
 */
export const ldmSuperResolutionPipeline: Family = async (folder) => {
	const parts = await loadWalkParts(folder, [], loadFirstStage(folder, { scaling: false }))
	expectBeside(parts, 3, 'an image')
	return { 'super-resolution': (drawing) => ldmSuperResolution(drawing, parts) }
}
