import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { type Part, port } from '../../onnx/part.ts'
import { stack, unstack } from '../../onnx/rows.ts'
import type { FirstStage } from './first-stage.ts'

const Config = z.object({
	block_out_channels: z.array(z.int()).min(1),
	/** Latents are stored with about unit variance. Exports from before the key existed were all of Stable Diffusion. */
	scaling_factor: z.number().positive().default(0.18215),
	// Known, and would change the picture: better refused than ignored.
	shift_factor: z.null().default(null),
	latents_mean: z.null().default(null),
	latents_std: z.null().default(null)
})

/** The KL-regularised autoencoder (AutoencoderKL). Pictures are decoded one at a time: batches do not help it. */
export async function kl(decoder: Part): Promise<FirstStage> {
	const config = await readConfig(path.join(decoder.folder, 'config.json'), Config)
	port(decoder, 'inputs', 'latent_sample')
	port(decoder, 'outputs', 'sample')
	return {
		factor: 2 ** (config.block_out_channels.length - 1),
		async decode(latent) {
			const unscaled = { data: latent.data.map((value) => value / config.scaling_factor), dims: latent.dims }
			const [pictures] = await decoder.run({ latent_sample: stack([unscaled]) }, ['sample']) // [1, 3, H, W]
			return unstack(pictures!)[0]!
		}
	}
}
