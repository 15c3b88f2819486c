import type { Family } from '../checkpoint.ts'
import { semanticMap } from '../conditioners/semantic-map.ts'
import { semanticSynthesis } from '../pipelines/semantic-synthesis.ts'
import { loadWalkParts } from './walk-parts.ts'

/**
 * LDMSemanticSynthesisPipeline, a name of our own for the paper's semantic synthesis (CompVis/latent-diffusion, models/ldm/semantic_synthesis512).
 *
 * | part | |
 * |---|---|
 * | `spatial_rescaler` | `semantic_map` [B, H, W], class numbers → `latent_map` [B, C, H / f, W / f]; config.json: `n_classes` |
 * | `unet` | in_channels: the latent's and those of `latent_map` |
 * | `vqvae_decoder` or `vae_decoder` | see first-stages/load.ts |
 */
export const ldmSemanticSynthesisPipeline: Family = async (folder) => {
	const parts = { ...(await loadWalkParts(folder)), rescale: await semanticMap(await folder.part('spatial_rescaler')) }
	return { 'semantic-synthesis': (drawing) => semanticSynthesis(drawing, parts) }
}
