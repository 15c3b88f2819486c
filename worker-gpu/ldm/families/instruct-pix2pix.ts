import path from 'node:path'
import { ModelError } from '../../onnx/model-error.ts'
import type { Family } from '../checkpoint.ts'
import { tellingCutOffs } from '../cut-offs.ts'
import { instructPix2Pix } from '../pipelines/instruct-pix2pix.ts'
import { loadParts, loadText } from './stable-diffusion.ts'

/** As Stable Diffusion, with a U-Net that is shown an image's latent beside its own: `prompt` says what to do to the image. */
export const stableDiffusionInstructPix2Pix: Family = async (folder) => {
	const parts = await loadParts(folder, { conditioner: await loadText(folder), meanOnly: true })
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
