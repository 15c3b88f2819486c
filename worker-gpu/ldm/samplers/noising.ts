import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import { combine } from './combine.ts'
import { DdpmConfig } from './ddpm.ts'
import { alphasCumprod } from './schedule.ts'

const Config = DdpmConfig.extend({ _class_name: z.literal('DDPMScheduler') })

/** Noises a picture x0 with e to training timestep t: Ho et al., 2020, eq. 4. */
export type Noising = (x0: Tensor, e: Tensor, t: number) => Tensor

/** That of a folder whose `scheduler_config.json` is there for its noise alone: the upscaler's `low_res_scheduler`. */
export async function loadNoising(folder: string): Promise<Noising> {
	const alphas = alphasCumprod(await readConfig(path.join(folder, 'scheduler_config.json'), Config))
	return (x0, e, t) => {
		const alphaBar = alphas[t]
		if (alphaBar === undefined) {
			throw new RangeError(`noise_level: expected an integer from 0 to ${alphas.length - 1}, got ${t}`)
		}
		return combine([Math.sqrt(alphaBar), x0], [Math.sqrt(1 - alphaBar), e])
	}
}
