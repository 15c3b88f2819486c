import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { port } from '../../onnx/part.ts'
import type { Family } from '../checkpoint.ts'
import { loadReader } from '../conditioners/reader.ts'
import { textTriple } from '../conditioners/text-triple.ts'
import { unet } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import { loadFirstStage } from '../first-stages/load.ts'
import { loadFlow } from '../samplers/flow-match.ts'
import { begun, lastPart } from '../samplers/strength.ts'
import { byText } from './stable-diffusion.ts'

/** Tokens that the pipeline has T5 read. */
const LENGTH = 256

const Config = z.object({
	patch_size: z.int().min(1).default(2),
	joint_attention_dim: z.int().min(1).max(100_000).default(4096),
	pos_embed_max_size: z.int().min(1).default(96)
})

/**
 * StableDiffusion3Pipeline of diffusers, of 3 and 3.5 (Esser et al., 2024): a transformer in the U-Net's place, which was trained as a flow.
 *
 * | part | |
 * |---|---|
 * | `transformer` | SD3Transformer2DModel: `hidden_states`, `timestep` [B], `encoder_hidden_states`, `pooled_projections` → `out_hidden_states` |
 * | `text_encoder`, `text_encoder_2`, with tokenizers | CLIP's, with projections |
 * | `text_encoder_3`, `tokenizer_3` | T5's, or none |
 * | `vae_decoder`, perhaps `vae_encoder` | see first-stages/load.ts |
 */
export const stableDiffusion3: Family = async (folder) => {
	const network = await folder.part('transformer')
	for (const name of ['hidden_states', 'encoder_hidden_states', 'pooled_projections']) {
		port(network, 'inputs', name)
	}
	const config = await readConfig(path.join(network.folder, 'config.json'), Config)
	const first = await loadReader(folder)
	const readers = {
		first,
		// Both read as many tokens as the first.
		second: await loadReader(folder, '_2', first.tokenize('').ids.length),
		third: folder.has('text_encoder_3') ? await loadReader(folder, '_3', LENGTH) : undefined
	}
	const firstStage = await loadFirstStage(folder)
	const flow = await loadFlow(folder.at('scheduler'))
	const samplerFor = (drawing: Drawing) =>
		flow(drawing, patchesOf(drawing, config.patch_size * firstStage.factor, config.pos_embed_max_size))
	return byText(folder, {
		conditioner: textTriple(readers, config.joint_attention_dim, LENGTH),
		denoiser: await unet(network, folder.provider.invariantFrom, folder.facts.rows),
		firstStage,
		samplerFor,
		lastPartFor: (drawing) => lastPart(samplerFor(drawing), drawing.steps, drawing.strength, begun)
	})
}

/** How many patches a picture has, or a clear refusal of one with more along a side than the transformer has places for. */
function patchesOf({ width, height }: Drawing, patch: number, most: number): number {
	for (const [name, side] of Object.entries({ width, height })) {
		if (side > most * patch) {
			throw new RangeError(`${name}: expected at most ${most * patch}, ${most} patches, got ${side}`)
		}
	}
	return (width / patch) * (height / patch)
}
