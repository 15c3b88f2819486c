import type { Layouts } from '../conditioners/layout.ts'
import { guided, unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'

interface Parts extends WalkParts {
	readonly layouts: Layouts
}

/** A picture of boxes with labels (the paper's §4.3.1). The paper's models were never trained without a layout, so there it has no guidance. */
export const layoutToImage: Pipeline<Parts> = async (drawing, parts) => {
	const { layout, guidance, guidance_rescale } = drawing
	const { none } = parts.layouts
	if (guidance > 1 && !none) {
		throw new RangeError(`guidance: expected 1, for the model was never trained without a layout, got ${guidance}`)
	}
	const cond = await parts.layouts.encode(layout ?? [])
	return fromNoise(drawing, parts, none && guidance !== 1 ? guided(none, cond, guidance, guidance_rescale) : unguided(cond))
}
