import { unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'

/** A picture of whatever the model was trained on: diffusers' LDMPipeline, and without a first stage DDPMPipeline and DDIMPipeline. */
export const unconditional: Pipeline<WalkParts> = async (drawing, parts) => fromNoise(drawing, parts, unguided({}))
