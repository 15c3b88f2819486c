import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { type Part, port } from '../../onnx/part.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import type { Generator } from '../noise.ts'
import { Widths } from '../widths.ts'
import { type Autoencoder, autoencoder } from './autoencoder.ts'
import type { FirstStage } from './first-stage.ts'
import { tiled } from './tiled.ts'

const Config = z.object({
	block_out_channels: Widths,
	/** Latents are stored with about unit variance. Exports from before the key existed were all of Stable Diffusion. */
	scaling_factor: z.number().positive().default(0.18215),
	shift_factor: z.number().nullish(),
	/** For each channel; both or neither. */
	latents_mean: z.array(z.number()).nullish(),
	latents_std: z.array(z.number().positive()).nullish(),
	/** Whether it overflows in half precision; said of all that were not mended. */
	force_upcast: z.boolean().default(true),
	/** Height and width of the pictures that it was trained on: the size of a tile. */
	sample_size: z.union([z.int().min(1), z.array(z.int().min(1)).min(1)]).default(32)
})

export interface Parts {
	readonly decoder: Part
	/** Left out by models that only draw from text. */
	readonly encoder?: Part | undefined
}

interface KlOptions {
	readonly tiling?: boolean
	readonly upcast?: boolean
	readonly scalingFactor?: number
	readonly meanOnly?: boolean
}

/**
 * The KL-regularised autoencoder, diffusers' AutoencoderKL in Optimum's layout: `vae_decoder` (latent_sample → sample) and
 * `vae_encoder` (sample → latent_parameters [B, 2C, h, w], the mean and the logarithm of the variance).
 *
 * @param scalingFactor where the pipeline knows better than the config
 * @param meanOnly encodes to the mean, drawn by nobody and neither shifted nor scaled, as InstructPix2Pix
 * @param upcast for pipelines that run a network with `force_upcast` in float32, whatever the others are: refuses one that was exported in less
 * @param tiling as diffusers' `enable_tiling()`: pictures larger than those of the training are cut into tiles of that size
 */
export async function kl(
	{ decoder, encoder }: Parts,
	{ tiling = false, upcast = false, scalingFactor, meanOnly = false }: KlOptions = {}
): Promise<FirstStage> {
	const file = path.join(decoder.folder, 'config.json')
	const config = await readConfig(file, Config)
	if (!config.latents_mean !== !config.latents_std) {
		throw new ModelError(file, 'expected both of latents_mean and latents_std or neither, got one')
	}
	const [, channels] = port(decoder, 'inputs', 'latent_sample').dims
	for (const key of ['latents_mean', 'latents_std'] as const) {
		const { length } = config[key] ?? {}
		if (length !== undefined && typeof channels === 'number' && length !== channels) {
			throw new ModelError(file, `${key}: expected ${channels} numbers, one for each channel of the latent, got ${length}`)
		}
	}
	for (const part of upcast && config.force_upcast ? [decoder, encoder] : []) {
		if (part && [...part.inputs.values()].some(({ type }) => type === 'float16')) {
			throw new ModelError(part.folder, 'expected a graph in float32, as force_upcast says: it overflows in float16')
		}
	}
	const whole = autoencoder(2 ** (config.block_out_channels.length - 1), decoder, encoder, 'latent_parameters')
	const networks: Autoencoder = tiling ? tiled(whole, [config.sample_size].flat()[0]!) : whole
	const { latents_mean: mean, latents_std: std, shift_factor } = config
	const scale = scalingFactor ?? config.scaling_factor
	const shift = (channel: number) => mean?.[channel] ?? shift_factor ?? 0
	const spread = (channel: number) => std?.[channel] ?? 1
	return {
		factor: networks.factor,
		async encode(image, pause) {
			if (encoder && !encoder.outputs.has('latent_parameters') && encoder.outputs.has('latent_sample')) {
				throw new ModelError(
					encoder.folder,
					'expected the output latent_parameters, got latent_sample, which is drawn inside the graph where no seed reaches: ' +
						'export it with Optimum 1.23 or later'
				)
			}
			await pause?.()
			const moments = await networks.encode(image, pause)
			if (meanOnly) {
				const [channels, ...space] = moments.dims as [number, ...number[]]
				const mean = { data: moments.data.slice(0, moments.data.length / 2), dims: [channels / 2, ...space] }
				return () => mean
			}
			return (noise) => byChannel(draw(moments, noise), (value, channel) => ((value - shift(channel)) * scale) / spread(channel))
		},
		decode: (latent, pause) =>
			networks.decode(
				byChannel(latent, (value, channel) => (value * spread(channel)) / scale + shift(channel)),
				pause
			)
	}
}

/** z ~ N(μ, σ²): moments [2C, h, w] → [C, h, w]. Bounds on log σ² as in diffusers' DiagonalGaussianDistribution. */
function draw({ data, dims: [channels2, ...space] }: Tensor, noise: Generator): Tensor {
	const { data: normal, dims } = noise.normal([channels2! / 2, ...space])
	const drawn = normal.map((e, i) => {
		const logvar = Math.min(Math.max(data[normal.length + i]!, -30), 20)
		return data[i]! + Math.exp(0.5 * logvar) * e
	})
	return { data: drawn, dims }
}

function byChannel({ data, dims }: Tensor, change: (value: number, channel: number) => number): Tensor {
	const size = data.length / dims[0]!
	return { data: data.map((value, i) => change(value, Math.floor(i / size))), dims }
}
