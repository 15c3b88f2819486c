import type { Family } from '../checkpoint.ts'
import { classes } from '../conditioners/classes.ts'
import { classConditional } from '../pipelines/class-conditional.ts'
import { loadWalkParts } from './walk-parts.ts'

/**
 * LDMClassToImagePipeline, a name of our own for the paper's class-conditional models (CompVis/latent-diffusion, configs/latent-diffusion/cin256-v2.yaml).
 *
 * | part | |
 * |---|---|
 * | `class_embedder` | `class_labels` [B] → `encoder_hidden_states` [B, 1, D]; config.json: `n_classes`, `unconditional_class`, see conditioners/classes.ts |
 * | `unet` | attends to `encoder_hidden_states` |
 * | `vqvae_decoder` or `vae_decoder` | see first-stages/load.ts |
 */
export const ldmClassToImagePipeline: Family = async (folder) => {
	const parts = {
		...(await loadWalkParts(folder, ['encoder_hidden_states'])),
		classes: await classes(await folder.part('class_embedder'))
	}
	return { 'class-conditional': (drawing) => classConditional(drawing, parts) }
}
