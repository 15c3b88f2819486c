import path from 'node:path'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Export } from './folder.ts'
import { channelsOf } from './graph.ts'

/**
 * Configs for parts that have none, as diffusers' own script leaves them (convert_stable_diffusion_checkpoint_to_onnx.py): what a graph can tell. All
 * else falls back to Stable Diffusion's, which that script is for: a model of another kind without them is refused, whose latents may be scaled otherwise.
 *
 * @param factor pixels that a latent stands for, along each side
 */
export function missingConfigs({ folder, pipeline, graphs, files }: Export, factor: number): Record<string, object> {
	const without = (name: string) => graphs.has(name) && !files.includes(path.join(name, 'config.json'))
	const made: Record<string, object> = {}
	if (without('unet')) {
		const graph = graphs.get('unet')!
		const [, latents] = [...graph.outputs.values()][0]?.dims ?? []
		made.unet = { in_channels: channelsOf(graph, 'sample'), ...(typeof latents === 'number' && { out_channels: latents }) }
	}
	for (const name of ['vae_decoder', 'vae_encoder'].filter(without)) {
		// How many widths there are says how often sides are halved. What they are says nothing here.
		made[name] = { block_out_channels: Array(Math.log2(factor) + 1).fill(1) }
	}
	const [first] = Object.keys(made)
	if (first && !/StableDiffusion(?!XL|3)/.test(pipeline)) {
		throw new ModelError(
			path.join(folder, first, 'config.json'),
			`expected a JSON file, found no file: what a graph does not say is known of Stable Diffusion alone, not of ${pipeline}`
		)
	}
	return made
}
