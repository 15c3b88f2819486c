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
	if (denoiser.guidanceEmbedding !== undefined) {
		return unguided({ ...(await encode(prompt)), timestep_cond: guidanceEmbedding(guidance - 1, denoiser.guidanceEmbedding) })
	}
	const cond = await encode(prompt)
	return guidance > 1 ? guided(await encode(negative_prompt, true), cond, guidance, guidance_rescale) : unguided(cond)
}

/** Sines and cosines of 1000 w at frequencies from 1 down to 1/10000, in float32 as the reference: 1000 w is many turns. */
function guidanceEmbedding(w: number, length: number): { data: Float32Array; dims: number[] } {
	const f = Math.fround
	const half = Math.floor(length / 2)
	const step = f(Math.log(10_000) / (half - 1))
	const angles = Array.from({ length: half }, (_, i) => f(f(f(w) * 1000) * f(Math.exp(f(i * -step)))))
	const data = new Float32Array(length)
	data.set([...angles.map(Math.sin), ...angles.map(Math.cos)])
	return { data, dims: [length] }
}
