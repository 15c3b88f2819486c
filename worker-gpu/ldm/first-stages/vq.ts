import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import { Widths } from '../widths.ts'
import { autoencoder } from './autoencoder.ts'
import type { FirstStage } from './first-stage.ts'
import type { Parts } from './kl.ts'
import { tiled } from './tiled.ts'

const Config = z.object({
	block_out_channels: Widths,
	scaling_factor: z.number().positive().default(0.18215),
	sample_size: z.int().min(1).default(32)
})

/**
 * The vector-quantised autoencoder, diffusers' VQModel. Neither Optimum nor diffusers exports it; this is the layout that Darkroom reads
 * and that infra/model-kit writes. Folders are named after the part `vqvae` of diffusers' LDM pipelines, ports as Optimum names the KL ones:
 *
 * | graph | input | output |
 * |---|---|---|
 * | `vqvae_encoder/model.onnx` | sample [B, 3, H, W] | latent_sample [B, C, H/f, W/f], after quant_conv, **not** quantised (`VQModel.encode`) |
 * | `vqvae_decoder/model.onnx` | latent_sample [B, C, h, w] | sample [B, 3, h·f, w·f]; quantises first, inside the graph (`VQModel.decode`) |
 *
 * Beside each lies VQModel's `config.json`. An output `codes` [B, h, w] (the codebook's rows, as floats) may be there; it is for tests.
 *
 * diffusers' AutoencoderTiny (TAESD) is read likewise, as `vae_encoder` and `vae_decoder`: it quantises nothing, and its latents are as certain.
 *
 * @param scaling false where the pipeline leaves scaling_factor out, as LDMSuperResolutionPipeline; "decoding" where it does so for what it encodes, as
 * the paper's inpainting
 */
export async function vq(
	{ decoder, encoder }: Parts,
	options: { tiling?: boolean; scaling?: boolean | 'decoding' } = {}
): Promise<FirstStage> {
	const { tiling = false, scaling = true } = options
	const config = await readConfig(path.join(decoder.folder, 'config.json'), Config)
	const whole = autoencoder(2 ** (config.block_out_channels.length - 1), decoder, encoder, 'latent_sample')
	const networks = tiling ? tiled(whole, config.sample_size) : whole
	const scale = scaling ? config.scaling_factor : 1
	return {
		factor: networks.factor,
		async encode(image, pause) {
			await pause?.()
			const z = times(await networks.encode(image, pause), scaling === true ? scale : 1)
			return () => z
		},
		decode: (latent, pause) => networks.decode(times(latent, 1 / scale), pause)
	}
}

const times = ({ data, dims }: Tensor, factor: number): Tensor => ({ data: data.map((value) => value * factor), dims })
