import { existsSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import type { Part } from '../../onnx/part.ts'
import { readFacts } from '../facts.ts'
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
export async function loadFirstStage(
	folder: string,
	load: (name: string) => Promise<Part>,
	given: Options = {}
): Promise<FirstStage> {
	const { tiling = false } = await readFacts(folder)
	const options = { tiling, ...given }
	const has = (name: string) => existsSync(path.join(folder, name))
	const parts = async (name: string) => ({
		decoder: await load(`${name}_decoder`),
		encoder: has(`${name}_encoder`) ? await load(`${name}_encoder`) : undefined
	})
	if (has('vae_decoder')) {
		return kl(await parts('vae'), options)
	}
	if (has('vqvae_decoder')) {
		// diffusers' LDM pipelines call their first stage vqvae whichever it is.
		const { _class_name: name } = await readConfig(path.join(folder, 'vqvae_decoder/config.json'), Named)
		return (name === 'AutoencoderKL' ? kl : vq)(await parts('vqvae'), options)
	}
	throw new ModelError(folder, 'expected a vae_decoder or vqvae_decoder, found neither')
}
