import type { Family } from '../checkpoint.ts'
import { loadReader } from '../conditioners/reader.ts'
import { text } from '../conditioners/text.ts'
import { tellingCutOffs } from '../cut-offs.ts'
import { ldmTextToImage } from '../pipelines/ldm-text-to-image.ts'
import { unscaled } from '../samplers/beginnings.ts'
import { loadWalkParts } from './walk-parts.ts'

/** Tokens of a text, whatever the tokenizer says: BERT's has room for 512. */
const LENGTH = 77

/**
 * LDMTextToImagePipeline of diffusers.
 *
 * | part | |
 * |---|---|
 * | `tokenizer` | BERT's |
 * | `bert`, or `text_encoder` | `input_ids` [B, 77] → `last_hidden_state` [B, 77, D] |
 * | `unet` | attends to `encoder_hidden_states` |
 * | `vqvae_decoder` or `vae_decoder` | see first-stages/load.ts |
 */
export const ldmTextToImagePipeline: Family = async (folder) => {
	const conditioner = text(await loadReader(folder, '', LENGTH, folder.has('bert') ? 'bert' : 'text_encoder'))
	const parts = await loadWalkParts(folder, ['encoder_hidden_states'])
	// The reference scales neither its first noise nor what the network is shown.
	const plain = { ...parts, conditioner, samplerFor: unscaled(parts.samplerFor) }
	return tellingCutOffs(conditioner, { 'text-to-image': (drawing, pause) => ldmTextToImage(drawing, plain, pause) })
}
