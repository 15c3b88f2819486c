import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import type { ModelFolder } from '../model-folder.ts'
import type { FirstStage } from './first-stage.ts'
import { kl } from './kl.ts'
import { upcasts } from './upcasting.ts'
import { vq } from './vq.ts'

type Options = NonNullable<Parameters<typeof kl>[1] & Parameters<typeof vq>[1]>

/**
 * For parts of each name, by the class that config.json names: diffusers' LDM pipelines call their first stage vqvae whichever it is, and TAESD stands in a KL's place. Where
 * Optimum saves a pipeline that it has loaded, it names its own, of which there is none but of KL.
 */
const kinds: Readonly<Record<'vae' | 'vqvae', Readonly<Record<string, typeof kl | typeof vq>>>> = {
	vae: { AutoencoderKL: kl, AsymmetricAutoencoderKL: kl, ORTVaeDecoder: kl, ORTModelVaeDecoder: kl, AutoencoderTiny: vq },
	vqvae: { VQModel: vq, AutoencoderKL: kl }
}

/**
 * The first stage of a model's folder: `vae_decoder` (KL, or TAESD, which is one without a distribution) or `vqvae_decoder` (VQ, or KL), with the
 * encoder where there is one. In tiles where the model's darkroom.json says so.
 *
 * @param given see `kl` and `vq`
 */
export async function loadFirstStage(folder: ModelFolder, given: Options = {}): Promise<FirstStage> {
	const options = { tiling: folder.facts.tiling ?? false, upcast: upcasts(folder.pipeline), ...given }
	for (const name of ['vae', 'vqvae'] as const) {
		if (folder.has(`${name}_decoder`)) {
			const decoder = await folder.part(`${name}_decoder`)
			const encoder = folder.has(`${name}_encoder`) ? await folder.part(`${name}_encoder`) : undefined
			const classes = Object.keys(kinds[name])
			const error = ({ input }: { input?: unknown }) => `expected one of ${classes.join(', ')}, got ${input}`
			const Named = z.object({ _class_name: z.enum(classes, { error }).default(classes[0]!) })
			const { _class_name } = await readConfig(path.join(decoder.folder, 'config.json'), Named)
			return kinds[name][_class_name]!({ decoder, encoder }, options)
		}
	}
	throw new ModelError(folder.path, 'expected a vae_decoder or vqvae_decoder, found neither')
}
