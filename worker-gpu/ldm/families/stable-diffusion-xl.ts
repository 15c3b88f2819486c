import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import type { Family } from '../checkpoint.ts'
import { textPair } from '../conditioners/text-pair.ts'
import { loadTokenizer } from '../conditioners/tokenizer.ts'
import { byText, loadParts } from './stable-diffusion.ts'

const Index = z.object({
	force_zeros_for_empty_prompt: z.boolean().default(true),
	requires_aesthetics_score: z.literal(false, 'expected false: the refiner is another model').default(false)
})

/** Stable Diffusion XL, the base model: as Stable Diffusion, with a second tokenizer_2 and text_encoder_2. */
export const stableDiffusionXl: Family = async (folder) => {
	const { force_zeros_for_empty_prompt: zeros } = await readConfig(path.join(folder.path, 'model_index.json'), Index)
	const reader = async (number: '' | '_2') => ({
		encoder: await folder.part(`text_encoder${number}`),
		tokenize: await loadTokenizer(folder.at(`tokenizer${number}`))
	})
	const conditioner = await textPair(await reader(''), await reader('_2'), zeros)
	return byText(folder, await loadParts(folder, { conditioner, inputs: ['text_embeds', 'time_ids'], upcast: true }))
}
