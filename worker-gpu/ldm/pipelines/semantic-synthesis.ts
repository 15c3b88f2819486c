import type { Rescale } from '../conditioners/semantic-map.ts'
import { unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'
import { given } from './inputs.ts'

interface Parts extends WalkParts {
	readonly rescale: Rescale
}

/** A picture of a map of classes (the paper's §4.3.2): the network is shown the map, as small as the latent, beside it. */
export const semanticSynthesis: Pipeline<Parts> = async (drawing, parts) => {
	const map = await parts.rescale(given(drawing, 'semantic_map'))
	return fromNoise(drawing, parts, unguided({}), () => ({ beside: () => map }))
}
