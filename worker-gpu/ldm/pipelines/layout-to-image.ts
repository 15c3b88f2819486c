import type { Layouts } from '../conditioners/layout.ts'
import { guidedFrom } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'

interface Parts extends WalkParts {
	readonly layouts: Layouts
}

/** A picture of boxes with labels (the paper's §4.3.1). The paper's models were never trained without a layout, so there it has no guidance. */
export const layoutToImage: Pipeline<Parts> = async (drawing, parts) => {
	const { layouts } = parts
	const cond = await layouts.encode(drawing.layout ?? [])
	return fromNoise(drawing, parts, guidedFrom(layouts.none, cond, drawing, 'a layout'))
}
