import { existsSync } from 'node:fs'
import path from 'node:path'
import { ModelError } from '../onnx/model-error.ts'
import { loadPart, type Stopwatch } from '../onnx/part.ts'
import type { Provider } from '../onnx/provider.ts'
import type { Conditioner } from './conditioners/conditioner.ts'
import { text } from './conditioners/text.ts'
import { loadTokenizer } from './conditioners/tokenizer.ts'
import { type Denoiser, unet } from './denoiser.ts'
import type { FirstStage } from './first-stages/first-stage.ts'
import { loadFirstStage } from './first-stages/load.ts'
import { loadSampler, type SamplerFor } from './samplers/load.ts'

/** The loaded parts of a model, as its pipelines take them. */
export interface Checkpoint {
	readonly conditioner: Conditioner<string>
	readonly denoiser: Denoiser
	readonly firstStage: FirstStage
	readonly samplerFor: SamplerFor
}

/** A folder in the diffusers/Optimum ONNX layout: tokenizer, text_encoder, unet, vae_decoder, perhaps vae_encoder, scheduler. */
export async function loadCheckpoint(folder: string, provider: Provider, stopwatch: Stopwatch): Promise<Checkpoint> {
	if (!existsSync(folder)) {
		throw new ModelError(folder, 'expected a folder in the diffusers ONNX layout, found nothing')
	}
	const part = (name: string) => loadPart(path.join(folder, name), provider, stopwatch)
	return {
		samplerFor: await loadSampler(path.join(folder, 'scheduler')),
		conditioner: text(await part('text_encoder'), await loadTokenizer(path.join(folder, 'tokenizer'))),
		denoiser: await unet(await part('unet'), provider.invariantFrom),
		firstStage: await loadFirstStage(folder, part)
	}
}
