import type { Classes } from '../conditioners/classes.ts'
import { guidedFrom } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'

interface Parts extends WalkParts {
	readonly classes: Classes
}

/** A picture of a class (the paper's §4.3.2), as the authors' DDIMSampler draws it. */
export const classConditional: Pipeline<Parts> = async (drawing, parts) => {
	const { classes } = parts
	const cond = await classes.encode(drawing.class_label ?? Number.NaN)
	return fromNoise(drawing, parts, guidedFrom(classes.none, cond, drawing, 'a class'))
}
