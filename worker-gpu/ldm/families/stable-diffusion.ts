import { existsSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { port } from '../../onnx/part.ts'
import type { Checkpoint, Family } from '../checkpoint.ts'
import type { Conditioner, Text } from '../conditioners/conditioner.ts'
import { loadReader } from '../conditioners/reader.ts'
import { text } from '../conditioners/text.ts'
import { tellingCutOffs } from '../cut-offs.ts'
import { unet } from '../denoiser.ts'
import { loadFirstStage } from '../first-stages/load.ts'
import type { ModelFolder } from '../model-folder.ts'
import { imageToImage } from '../pipelines/image-to-image.ts'
import { inpainting, inpaintingByBlending } from '../pipelines/inpainting.ts'
import type { Parts } from '../pipelines/text.ts'
import { textToImage } from '../pipelines/text-to-image.ts'
import { type Amended, loadSampler, type SamplerFor } from '../samplers/load.ts'
import { lastPart } from '../samplers/strength.ts'

/*
 * diffusers amends schedulers of Stable Diffusion's early days: `steps_offset` is 1, and nothing is clipped; but its inpainting leaves that as it was, and
 * takes PNDM for PLMS.
 */

/** tokenizer, text_encoder, unet, vae_decoder, perhaps vae_encoder, scheduler. */
export const stableDiffusion: Family = async (folder) => {
	const conditioner = await loadText(folder)
	const parts = await loadParts(folder, { conditioner, amended: { steps_offset: 1, clip_sample: false } })
	return byText(folder, parts, { ...parts, ...(await loadSamplers(folder, { steps_offset: 1, skip_prk_steps: true })) })
}

/** The same with a ControlNet, which is one graph with the U-Net. diffusers amends none of its schedulers. */
export const stableDiffusionControlNet: Family = async (folder) => {
	await expectSteered(folder)
	return byText(folder, await loadParts(folder, { conditioner: await loadText(folder) }))
}

/** Refuses a U-Net without a ControlNet in its graph, as exporters write it that know of none, or keep it apart. */
export async function expectSteered(folder: ModelFolder): Promise<void> {
	const { inputs } = await folder.part('unet')
	if (!inputs.has('controlnet_cond') || !inputs.has('conditioning_scale')) {
		throw new ModelError(
			path.join(folder.path, 'unet/model.onnx'),
			'expected the U-Net and its ControlNet in one graph, as infra/model-kit/export writes them, with the inputs controlnet_cond and ' +
				`conditioning_scale, got the inputs ${[...inputs.keys()].join(', ')}`
		)
	}
}

/** diffusers' pipelines then tell the encoder where a text ends; exported graphs are told its tokens alone. */
const Masking = z.object({
	use_attention_mask: z
		.literal(false, 'expected false: the graph has no input for what is masked, and would read the padding too')
		.nullish()
})

export async function loadText(folder: ModelFolder): Promise<Conditioner<Text>> {
	const file = path.join(folder.at('text_encoder'), 'config.json')
	if (existsSync(file)) {
		await readConfig(file, Masking)
	}
	return text(await loadReader(folder))
}

interface Kind {
	readonly conditioner: Conditioner<Text>
	/** What the U-Net must take beside the usual inputs. */
	readonly inputs?: readonly string[]
	/** Scheduler settings that the pipeline sets by itself. */
	readonly amended?: Amended
	/** See `loadFirstStage`. */
	readonly scalingFactor?: number
	readonly meanOnly?: boolean
}

/** What Stable Diffusion and its kin have beside their text encoders. */
export async function loadParts(
	folder: ModelFolder,
	{ conditioner, inputs = [], amended, ...firstStage }: Kind
): Promise<Parts & Samplers> {
	const network = await folder.part('unet')
	for (const name of ['sample', 'encoder_hidden_states', ...inputs]) {
		port(network, 'inputs', name)
	}
	return {
		conditioner,
		denoiser: await unet(network, folder.provider.invariantFrom, folder.facts.rows),
		firstStage: await loadFirstStage(folder, firstStage),
		...(await loadSamplers(folder, amended))
	}
}

interface Samplers extends Pick<Parts, 'lastPartFor'> {
	readonly samplerFor: SamplerFor
}

async function loadSamplers(folder: ModelFolder, amended?: Amended): Promise<Samplers> {
	const samplerFor = await loadSampler(folder.at('scheduler'), amended)
	return { samplerFor, lastPartFor: (drawing) => lastPart(samplerFor(drawing), drawing.steps, drawing.strength) }
}

/**
 * The tasks that a model can do, whichever class its index names: diffusers' pipelines for them share their parts. Images need an encoder; a
 * U-Net of nine channels is made for inpainting, and for nothing else.
 */
export function byText(folder: ModelFolder, parts: Parts, forInpainting = parts): Checkpoint {
	const { channels, latentChannels } = parts.denoiser
	const encodes = folder.has('vae_encoder')
	if (channels === latentChannels) {
		return tellingCutOffs(parts.conditioner, {
			'text-to-image': (drawing, pause) => textToImage(drawing, parts, pause),
			...(encodes && {
				'image-to-image': (drawing, pause) => imageToImage(drawing, parts, pause),
				inpainting: (drawing, pause) => inpaintingByBlending(drawing, forInpainting, pause)
			})
		})
	}
	const masked = 2 * latentChannels + 1
	if (channels !== masked) {
		const expected = `in_channels: expected ${latentChannels}, or ${masked} for inpainting, got ${channels}`
		throw new ModelError(path.join(parts.denoiser.id, 'config.json'), expected)
	}
	if (!encodes) {
		throw new ModelError(folder.path, 'expected a vae_encoder, without which there is no inpainting, found none')
	}
	return tellingCutOffs(parts.conditioner, { inpainting: (drawing, pause) => inpainting(drawing, forInpainting, pause) })
}
