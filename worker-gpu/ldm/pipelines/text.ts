import type { Conditioner, Text } from '../conditioners/conditioner.ts'
import type { Denoiser, Inputs } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import type { FirstStage } from '../first-stages/first-stage.ts'
import { type Guidance, guided, unguided } from '../guidance.ts'
import type { Pause } from '../pause.ts'
import type { Sampler } from '../samplers/sampler.ts'

/** What Stable Diffusion's pipelines need of a model. */
export interface Parts {
	readonly conditioner: Conditioner<Text>
	readonly denoiser: Denoiser
	readonly firstStage: FirstStage
	/** The whole walk. */
	samplerFor(drawing: Drawing): Sampler
	/** What is left of it for an image that is sent back `strength` of the way. */
	lastPartFor(drawing: Drawing): Sampler
}

/**
 * Guidance by text, as Stable Diffusion has it: from a scale above 1 on; but a network that was distilled with guidance is told the scale,
 * and asked once.
 *
 * @param more inputs of both branches
 */
export async function textGuidance(
	drawing: Drawing,
	{ conditioner, denoiser }: Parts,
	pause?: Pause,
	more: Inputs = {}
): Promise<Guidance> {
	const { prompt, negative_prompt, guidance, guidance_rescale, width, height } = drawing
	const encode = async (text: string | null, negative = false) => ({
		...(await conditioner.encode({ text, negative, width, height }, pause)),
		...more
	})
	if (denoiser.guidanceInput) {
		return unguided({ ...(await encode(prompt)), ...denoiser.guidanceInput(guidance) })
	}
	const cond = await encode(prompt)
	return guidance > 1 ? guided(await encode(negative_prompt, true), cond, guidance, guidance_rescale) : unguided(cond)
}
