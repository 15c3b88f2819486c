import path from 'node:path'
import { ModelError } from '../../onnx/model-error.ts'
import { port } from '../../onnx/part.ts'
import { unet } from '../denoiser.ts'
import type { FirstStage } from '../first-stages/first-stage.ts'
import { loadFirstStage } from '../first-stages/load.ts'
import type { ModelFolder } from '../model-folder.ts'
import type { WalkParts } from '../pipelines/from-noise.ts'
import { type Amended, loadSampler } from '../samplers/load.ts'

/**
 * What every model of the paper has: scheduler, unet, and a first stage.
 *
 * @param inputs that the U-Net must have beside `sample` and `timestep`
 * @param amended scheduler settings that the pipeline sets by itself
 */
export async function loadWalkParts(
	folder: ModelFolder,
	inputs: readonly string[] = [],
	firstStage: FirstStage | Promise<FirstStage> = loadFirstStage(folder),
	amended?: Amended
): Promise<WalkParts> {
	// All at once: whichever fails first, the others' failures are not left without anyone who hears of them, which would end the process.
	const [samplerFor, network, stage] = await Promise.all([
		loadSampler(folder.at('scheduler'), amended),
		folder.part('unet'),
		firstStage
	])
	for (const name of ['sample', ...inputs]) {
		port(network, 'inputs', name)
	}
	return { samplerFor, denoiser: await unet(network, folder.provider.invariantFrom, folder.facts.rows), firstStage: stage }
}

/** Refuses a U-Net that is not made to be shown so many channels beside the latent's. */
export function expectBeside({ denoiser }: WalkParts, count: number, what: string): void {
	const { channels, latentChannels, id } = denoiser
	if (channels !== latentChannels + count) {
		throw new ModelError(
			path.join(id, 'config.json'),
			`in_channels: expected ${latentChannels + count}, the latent and ${what}, got ${channels}`
		)
	}
}
