import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import type { ModelFolder } from '../model-folder.ts'
import type { FirstStage } from './first-stage.ts'
import { kl } from './kl.ts'
import { vq } from './vq.ts'

type Options = NonNullable<Parameters<typeof kl>[1] & Parameters<typeof vq>[1]>
const Named = z.object({ _class_name: z.string().optional() })

/**
 * The first stage of a model's folder: `vae_decoder` (KL) or `vqvae_decoder` (VQ, or KL where its config.json says `AutoencoderKL`), with the
 * encoder where there is one. In tiles where the model's darkroom.json says so.
 *
 * @param given see `kl` and `vq`
 */
export async function loadFirstStage(folder: ModelFolder, given: Options = {}): Promise<FirstStage> {
	const options = { tiling: folder.facts.tiling ?? false, ...given }
	const parts = async (name: string) => ({
		decoder: await folder.part(`${name}_decoder`),
		encoder: folder.has(`${name}_encoder`) ? await folder.part(`${name}_encoder`) : undefined
	})
	if (folder.has('vae_decoder')) {
		return kl(await parts('vae'), options)
	}
	if (folder.has('vqvae_decoder')) {
		// diffusers' LDM pipelines call their first stage vqvae whichever it is.
		const { _class_name: name } = await readConfig(path.join(folder.at('vqvae_decoder'), 'config.json'), Named)
		return (name === 'AutoencoderKL' ? kl : vq)(await parts('vqvae'), options)
	}
	throw new ModelError(folder.path, 'expected a vae_decoder or vqvae_decoder, found neither')
}
