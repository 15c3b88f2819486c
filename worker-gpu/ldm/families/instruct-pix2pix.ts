import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import type { Checkpoint, Family } from '../checkpoint.ts'
import { tellingCutOffs } from '../cut-offs.ts'
import type { ModelFolder } from '../model-folder.ts'
import { instructPix2Pix } from '../pipelines/instruct-pix2pix.ts'
import type { Parts } from '../pipelines/text.ts'
import { loadParts, loadText } from './stable-diffusion.ts'
import { loadXlParts } from './stable-diffusion-xl.ts'

/** As Stable Diffusion, with a U-Net that is shown an image's latent beside its own: `prompt` says what to do to the image. */
export const stableDiffusionInstructPix2Pix: Family = async (folder) =>
	byInstruction(folder, await loadParts(folder, { conditioner: await loadText(folder), meanOnly: true }))

/** The same of Stable Diffusion XL. */
export const stableDiffusionXlInstructPix2Pix: Family = async (folder) => {
	const unscaled = z.literal(false, 'expected false: images are shown as they are encoded, not scaled').nullish()
	await readConfig(path.join(folder.path, 'model_index.json'), z.object({ is_cosxl_edit: unscaled }))
	const { parts } = await loadXlParts(folder, true)
	return byInstruction(folder, parts)
}

function byInstruction(folder: ModelFolder, parts: Parts): Checkpoint {
	const { channels, latentChannels } = parts.denoiser
	if (channels !== 2 * latentChannels) {
		throw new ModelError(
			path.join(folder.path, 'unet/config.json'),
			`in_channels: expected ${2 * latentChannels}, two latents, got ${channels}`
		)
	}
	if (!folder.has('vae_encoder')) {
		throw new ModelError(folder.path, "expected a vae_encoder, for the image's latent, found none")
	}
	return tellingCutOffs(parts.conditioner, { 'image-to-image': (drawing, pause) => instructPix2Pix(drawing, parts, pause) })
}
