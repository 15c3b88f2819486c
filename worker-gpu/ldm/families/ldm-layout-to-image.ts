import type { Family } from '../checkpoint.ts'
import { layout } from '../conditioners/layout.ts'
import { layoutToImage } from '../pipelines/layout-to-image.ts'
import { loadWalkParts } from './walk-parts.ts'

/**
 * LDMLayoutToImagePipeline, a name of our own for the paper's layout-to-image models (CompVis/latent-diffusion, models/ldm/layout2img-openimages256).
 *
 * | part | |
 * |---|---|
 * | `layout_encoder` | `input_ids` [B, L] → `last_hidden_state` [B, L, D]; config.json: `no_object_classes`, `no_max_objects`, `no_tokens`, `encode_crop`, `unconditional_layout`, see conditioners/layout.ts |
 * | `unet` | attends to `encoder_hidden_states` |
 * | `vqvae_decoder` or `vae_decoder` | see first-stages/load.ts |
 */
export const ldmLayoutToImagePipeline: Family = async (folder) => {
	const parts = {
		...(await loadWalkParts(folder, ['encoder_hidden_states'])),
		layouts: await layout(await folder.part('layout_encoder'))
	}
	return { 'layout-to-image': (drawing) => layoutToImage(drawing, parts) }
}
