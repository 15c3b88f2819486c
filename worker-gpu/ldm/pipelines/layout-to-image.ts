import type { Conditioner } from '../conditioners/conditioner.ts'
import type { Layout } from '../conditioners/layout.ts'
import { unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'

interface Parts extends WalkParts {
	readonly conditioner: Conditioner<Layout>
}

/** A picture of boxes with labels (the paper's §4.3.1). The model was never trained without a layout, so there is no guidance. */
export const layoutToImage: Pipeline<Parts> = async (drawing, parts) =>
	fromNoise(drawing, parts, unguided(await parts.conditioner.encode(drawing.layout ?? [])))
