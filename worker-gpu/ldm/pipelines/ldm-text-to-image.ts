import type { Conditioner, Text } from '../conditioners/conditioner.ts'
import { guided, unguided } from '../guidance.ts'
import type { Pipeline } from '../plan.ts'
import { fromNoise, type WalkParts } from './from-noise.ts'

interface Parts extends WalkParts {
	readonly conditioner: Conditioner<Text>
}

/** The paper's text-to-image, as diffusers' LDMTextToImagePipeline: a scale other than 1 is guidance, also one below. */
export const ldmTextToImage: Pipeline<Parts> = async (drawing, parts, pause) => {
	const { prompt, negative_prompt, guidance, guidance_rescale, width, height } = drawing
	const encode = (text: string | null) => parts.conditioner.encode({ text, width, height }, pause)
	const cond = await encode(prompt)
	const guide = guidance === 1 ? unguided(cond) : guided(await encode(negative_prompt), cond, guidance, guidance_rescale)
	return fromNoise(drawing, parts, guide)
}
