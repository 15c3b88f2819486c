import type { Classes } from '../conditioners/classes.ts'
import { guided, unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'

interface Parts extends WalkParts {
	readonly classes: Classes
}

/** A picture of a class (the paper's §4.3.2), as the authors' DDIMSampler draws it: a scale other than 1 guides away from no class at all. */
export const classConditional: Pipeline<Parts> = async (drawing, parts) => {
	const { class_label, guidance, guidance_rescale } = drawing
	const { none } = parts.classes
	if (guidance > 1 && !none) {
		throw new RangeError(`guidance: expected 1, for the model was never trained without a class, got ${guidance}`)
	}
	const cond = await parts.classes.encode(class_label ?? Number.NaN)
	return fromNoise(drawing, parts, none && guidance !== 1 ? guided(none, cond, guidance, guidance_rescale) : unguided(cond))
}
