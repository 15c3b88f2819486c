import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import type { Family } from '../checkpoint.ts'
import { numbers } from '../conditioners/classes.ts'
import { classConditional } from '../pipelines/class-conditional.ts'
import { expectBeside, loadWalkParts } from './walk-parts.ts'

const Config = z.object({ num_embeds_ada_norm: z.int().min(1) })

/**
 * DiTPipeline of diffusers: a transformer in the U-Net's place (Peebles and Xie, 2023). Neither Optimum nor diffusers exports it; infra/model-kit does.
 *
 * | part | |
 * |---|---|
 * | `unet` | DiTTransformer2DModel: `sample`, `timestep`, `class_labels` [B] → `out_sample`, without the variance that it answers too. config.json: `num_embeds_ada_norm`, how many classes; the number after them stands for none |
 * | `vae_decoder` | see first-stages/load.ts |
 */
export const ditPipeline: Family = async (folder) => {
	const parts = await loadWalkParts(folder, ['class_labels'])
	expectBeside(parts, 0, 'nothing')
	const { num_embeds_ada_norm: count } = await readConfig(path.join(folder.at('unet'), 'config.json'), Config)
	const told = { ...parts, classes: numbers(count) }
	// Below 1 is no guidance here.
	return { 'class-conditional': (drawing) => classConditional({ ...drawing, guidance: Math.max(drawing.guidance, 1) }, told) }
}
