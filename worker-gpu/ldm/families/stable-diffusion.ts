import path from 'node:path'
import type { Family } from '../checkpoint.ts'
import { text } from '../conditioners/text.ts'
import { loadTokenizer } from '../conditioners/tokenizer.ts'
import { unet } from '../denoiser.ts'
import { loadFirstStage } from '../first-stages/load.ts'
import { textToImage } from '../pipelines/text-to-image.ts'
import { loadSampler } from '../samplers/load.ts'

/** tokenizer, text_encoder, unet, vae_decoder, perhaps vae_encoder, scheduler. */
export const stableDiffusion: Family = async (folder) => {
	const samplerFor = await loadSampler(path.join(folder.path, 'scheduler'))
	const conditioner = text(await folder.part('text_encoder'), await loadTokenizer(path.join(folder.path, 'tokenizer')))
	const denoiser = await unet(await folder.part('unet'), folder.provider.invariantFrom)
	const firstStage = await loadFirstStage(folder.path, folder.part)
	return { 'text-to-image': (drawing) => textToImage(drawing, { conditioner, denoiser, firstStage, samplerFor }) }
}
