import type { Family } from '../checkpoint.ts'
import { identity } from '../first-stages/identity.ts'
import { textToImage } from '../pipelines/text-to-image.ts'
import { unconditional } from '../pipelines/unconditional.ts'
import { fromFullNoise, unscaled } from '../samplers/beginnings.ts'
import type { Amended } from '../samplers/load.ts'
import { loadParts, loadText } from './stable-diffusion.ts'
import { expectBeside, loadWalkParts } from './walk-parts.ts'

/**
 * LDMPipeline of diffusers: unet, and vqvae_decoder or vae_decoder. With a text_encoder and a tokenizer it is a model of texts that is told none, as in a
 * part of its training: what guidance leads away from.
 */
export const ldmPipeline: Family = async (folder) => {
	if (folder.has('text_encoder')) {
		const told = await loadParts(folder, { conditioner: await loadText(folder) })
		return { unconditional: (drawing, pause) => textToImage({ ...drawing, prompt: '', guidance: 1 }, told, pause) }
	}
	const { samplerFor, ...rest } = await loadWalkParts(folder)
	const parts = { ...rest, samplerFor: fromFullNoise(samplerFor) }
	expectBeside(parts, 0, 'nothing')
	return { unconditional: (drawing) => unconditional(drawing, parts) }
}

/** DDPMPipeline of diffusers: unet alone, which draws pixels. It scales nothing. */
export const ddpmPipeline: Family = (folder) => pixels(folder)

/** DDIMPipeline of diffusers: its scheduler is DDIM's, whichever it was saved as. */
export const ddimPipeline: Family = (folder) => pixels(folder, { _class_name: 'DDIMScheduler' })

/** PNDMPipeline of diffusers: likewise. */
export const pndmPipeline: Family = (folder) => pixels(folder, { _class_name: 'PNDMScheduler' })

async function pixels(folder: Parameters<Family>[0], amended?: Amended): ReturnType<Family> {
	const { samplerFor, ...parts } = await loadWalkParts(folder, [], identity, amended)
	const plain = { ...parts, samplerFor: unscaled(samplerFor) }
	expectBeside(plain, 0, 'nothing')
	return { unconditional: (drawing) => unconditional(drawing, plain) }
}
