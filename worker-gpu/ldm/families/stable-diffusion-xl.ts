import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { port } from '../../onnx/part.ts'
import type { Family } from '../checkpoint.ts'
import { loadReader } from '../conditioners/reader.ts'
import { textPair } from '../conditioners/text-pair.ts'
import type { ModelFolder } from '../model-folder.ts'
import type { Parts } from '../pipelines/text.ts'
import { byText, expectSteered, loadParts } from './stable-diffusion.ts'

const Index = z.object({
	force_zeros_for_empty_prompt: z.boolean().default(true),
	requires_aesthetics_score: z.boolean().default(false)
})

/**
 * Stable Diffusion XL: as Stable Diffusion, with a second tokenizer_2 and text_encoder_2. The refiner has these alone, is told an aesthetic score, and
 * goes on from an image.
 */
export const stableDiffusionXl: Family = async (folder) => {
	const { parts, refines } = await loadXlParts(folder)
	const { 'text-to-image': drawn, ...fromImages } = byText(folder, parts)
	return refines ? fromImages : { ...(drawn && { 'text-to-image': drawn }), ...fromImages }
}

/** The same with a ControlNet, which is one graph with the U-Net. */
export const stableDiffusionXlControlNet: Family = async (folder) => {
	await expectSteered(folder)
	return stableDiffusionXl(folder)
}

/** @param meanOnly see `kl` */
export async function loadXlParts(folder: ModelFolder, meanOnly = false): Promise<{ parts: Parts; refines: boolean }> {
	const file = path.join(folder.path, 'model_index.json')
	const index = await readConfig(file, Index)
	const scored = index.requires_aesthetics_score
	const first = scored && !folder.has('text_encoder') ? undefined : await loadReader(folder)
	const second = await loadReader(folder, '_2')
	const [length, expected] = [second, first ?? second].map(({ tokenize }) => tokenize('').ids.length)
	if (length !== expected) {
		const config = path.join(folder.at('tokenizer_2'), 'tokenizer_config.json')
		const why = 'what both encoders make of a text is put side by side'
		throw new ModelError(config, `model_max_length: expected ${expected}, as the first tokenizer has it, got ${length}: ${why}`)
	}
	const conditioner = textPair(first, second, { zeros: index.force_zeros_for_empty_prompt, scored })
	const parts = await loadParts(folder, { conditioner, inputs: ['text_embeds', 'time_ids'], meanOnly })
	const [, numbers] = port(await folder.part('unet'), 'inputs', 'time_ids').dims
	if (numbers === (scored ? 6 : 5)) {
		const expected = `expected ${!scored}, as a U-Net has it that is told ${numbers} numbers in time_ids`
		throw new ModelError(file, `requires_aesthetics_score: ${expected}, got ${scored}`)
	}
	return { parts, refines: scored }
}
