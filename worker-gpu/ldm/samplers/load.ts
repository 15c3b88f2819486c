import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { DdimConfig, ddim } from './ddim.ts'
import type { Sampler } from './sampler.ts'

/** Makes a sampler for so many steps. */
export type SamplerFor = (steps: number) => Sampler

/** diffusers' scheduler classes that there is a sampler for. */
const samplers: Record<string, (file: string) => Promise<SamplerFor>> = {
	DDIMScheduler: async (file) => {
		const config = await readConfig(file, DdimConfig)
		return (steps) => ddim(config, steps)
	}
}

/** The sampler that `scheduler_config.json` names. */
export async function loadSampler(folder: string): Promise<SamplerFor> {
	const file = path.join(folder, 'scheduler_config.json')
	const { _class_name: name } = await readConfig(file, z.object({ _class_name: z.string() }))
	const load = samplers[name]
	if (!load) {
		throw new ModelError(file, `expected _class_name to be one of ${Object.keys(samplers).join(', ')}, got ${name}`)
	}
	return load(file)
}
