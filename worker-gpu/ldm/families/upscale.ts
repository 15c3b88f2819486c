import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import type { Family } from '../checkpoint.ts'
import { tellingCutOffs } from '../cut-offs.ts'
import { upscale } from '../pipelines/upscale.ts'
import { loadNoising } from '../samplers/noising.ts'
import { loadParts, loadText } from './stable-diffusion.ts'

/** Channels of the picture beside the latent. */
const RGB = 3

/** Of the first stage, whatever its config says: so has it the reference. */
const SCALING_FACTOR = 0.08333

/** As Stable Diffusion, with low_res_scheduler, and a U-Net that is shown the small picture. */
export const stableDiffusionUpscale: Family = async (folder) => {
	const index = z.object({ max_noise_level: z.int().min(0).default(350) })
	const { max_noise_level: mostNoise } = await readConfig(path.join(folder.path, 'model_index.json'), index)
	const noising = await loadNoising(folder.at('low_res_scheduler'))
	const parts = await loadParts(folder, {
		conditioner: await loadText(folder),
		inputs: ['class_labels'],
		scalingFactor: SCALING_FACTOR
	})
	const { channels, latentChannels } = parts.denoiser
	if (channels !== latentChannels + RGB) {
		throw new ModelError(
			path.join(folder.path, 'unet/config.json'),
			`in_channels: expected ${latentChannels + RGB}, the latent and a picture, got ${channels}`
		)
	}
	return tellingCutOffs(parts.conditioner, {
		'super-resolution': (drawing, pause) => upscale(drawing, { ...parts, noising, mostNoise }, pause)
	})
}
