import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { port } from '../../onnx/part.ts'
import type { Family } from '../checkpoint.ts'
import { loadReader } from '../conditioners/reader.ts'
import { textWithSummary } from '../conditioners/text-with-summary.ts'
import { unet } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import { loadFirstStage } from '../first-stages/load.ts'
import type { ModelFolder } from '../model-folder.ts'
import { SIDE, unpacked } from '../packed.ts'
import { loadFlow } from '../samplers/flow-match.ts'
import { begun, lastPart } from '../samplers/strength.ts'
import { linspace } from '../samplers/timesteps.ts'
import { byText } from './stable-diffusion.ts'

const Scheduler = z.object({ use_dynamic_shifting: z.boolean().default(false) })

/** FluxTransformer2DModel's, of tokens of 2 × 2 latents. */
const Config = z.object({
	in_channels: z.int().min(1).default(64),
	out_channels: z.int().nullish(),
	guidance_embeds: z.boolean().default(false)
})

/**
 * FluxPipeline of diffusers (Black Forest Labs, 2024): a transformer in the U-Net's place, which was trained as a flow. [dev] is told the guidance; [schnell], which was distilled
 * for few steps without any, can be guided as all others.
 *
 * | part | |
 * |---|---|
 * | `transformer` | FluxTransformer2DModel: `hidden_states`, `timestep` [B], `encoder_hidden_states`, `pooled_projections`, `img_ids`, `txt_ids`, perhaps `guidance` [B] → `out_hidden_states`; see packed.ts |
 * | `text_encoder`, `tokenizer` | CLIP's: `input_ids` → `pooler_output` |
 * | `text_encoder_2`, `tokenizer_2` | T5's: `input_ids` → `last_hidden_state` |
 * | `vae_decoder`, perhaps `vae_encoder` | see first-stages/load.ts |
 */
export const flux: Family = async (folder) => {
	// As many tokens as they were trained on: the pipeline leaves them to its caller.
	const length = (await isSchnell(folder.at('scheduler'))) ? 256 : 512
	const conditioner = textWithSummary(await loadReader(folder), await loadReader(folder, '_2', length))
	const firstStage = await loadFirstStage(folder)
	const flow = await loadFlow(folder.at('scheduler'), (steps) => linspace(1, 1 / steps, steps))
	const token = SIDE * firstStage.factor
	const samplerFor = (drawing: Drawing) => flow(drawing, (drawing.width / token) * (drawing.height / token))
	return byText(folder, {
		conditioner,
		denoiser: await loadTransformer(folder),
		firstStage,
		samplerFor,
		lastPartFor: (drawing) => lastPart(samplerFor(drawing), drawing.steps, drawing.strength, begun)
	})
}

/** Whether a model goes by the schedule of [schnell], which shifts all sizes alike; [dev]'s shifts larger ones further. */
export async function isSchnell(scheduler: string): Promise<boolean> {
	return !(await readConfig(path.join(scheduler, 'scheduler_config.json'), Scheduler)).use_dynamic_shifting
}

async function loadTransformer(folder: ModelFolder) {
	const network = await folder.part('transformer')
	for (const name of ['encoder_hidden_states', 'pooled_projections', 'img_ids', 'txt_ids']) {
		port(network, 'inputs', name)
	}
	const file = path.join(network.folder, 'config.json')
	const { in_channels: width, out_channels, guidance_embeds } = await readConfig(file, Config)
	if ((out_channels ?? width) !== width) {
		throw new ModelError(file, `out_channels: expected ${width}, as in_channels, or null, got ${out_channels}`)
	}
	if (guidance_embeds) {
		port(network, 'inputs', 'guidance')
	}
	const channels = width / SIDE ** 2
	const settings = { in_channels: channels, out_channels: channels, block_out_channels: [], patch_size: SIDE }
	return unet(unpacked(network), folder.provider.invariantFrom, folder.facts.rows, settings)
}
