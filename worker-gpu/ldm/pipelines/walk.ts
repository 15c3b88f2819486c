import type { Tensor } from '../../onnx/tensor.ts'
import type { Denoiser, Inputs } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import type { FirstStage } from '../first-stages/first-stage.ts'
import type { Guidance } from '../guidance.ts'
import { type Generator, generator } from '../noise.ts'
import type { Pause } from '../pause.ts'
import type { Plan, Row } from '../plan.ts'
import type { Sampler } from '../samplers/sampler.ts'

/** What one pipeline does in its own way on the walk that all of them take. */
export interface Walk {
	readonly denoiser: Denoiser
	readonly sampler: Sampler
	readonly guidance: Guidance
	/** The latent to begin with, and what else of the picture's own is needed on the way. Draws in the reference's order. */
	begin(noise: Generator): { readonly x: Tensor; readonly given?: readonly Tensor[] }
	/** What the network is shown beside the latent, the same for each of guidance's branches or one for each. Where it is the same from step to step, so is the tensor. */
	beside?(row: Row): Tensor | readonly Tensor[]
	/** What it is told at evaluation k beside its condition, the same for each of guidance's branches. */
	told?(k: number): Inputs
	/** What becomes of the latent after each evaluation, `row.k` of which are done by then. */
	settle?(row: Row): Tensor
	/** The picture of the last latent. */
	finish(x: Tensor, pause?: Pause): Promise<Tensor>
}

/** A plan: evaluate at each of the sampler's places, guide, advance. */
export function walk({ denoiser, sampler, guidance, begin, beside, told, settle, finish }: Walk): Plan {
	return {
		denoiser,
		evaluations: sampler.timesteps.length,
		start(seed) {
			const noise = generator(seed)
			const { x, given = [] } = begin(noise)
			return { x, k: 0, history: sampler.start(), noise, given }
		},
		evaluate(row) {
			const x = sampler.scale(row.x, row.k)
			const shown = beside?.(row)
			const of = (branch: number) => (shown && !('data' in shown) ? shown[branch] : shown)
			const more = told?.(row.k)
			return guidance.branches.map((cond, i) => ({ x, beside: of(i), t: sampler.timesteps[row.k]!, cond: { ...cond, ...more } }))
		},
		advance(row, outputs) {
			const { x, history, x0 } = sampler.advance(row, guidance.merge(outputs), row.k, row.noise)
			row.x = x
			row.x0 = x0
			row.history = history
			row.k += 1
			if (settle) {
				row.x = settle(row)
			}
		},
		finish: ({ x }, pause) => finish(x, pause)
	}
}

/** [C, h, w] of the latent of a picture as large as the drawing, or a clear refusal of its size. */
export function latentDims({ width, height }: Drawing, { latentChannels, multiple }: Denoiser, { factor }: FirstStage): number[] {
	for (const [name, side] of Object.entries({ width, height })) {
		if (!Number.isInteger(side / (factor * multiple)) || side < 1) {
			throw new RangeError(`${name}: expected a multiple of ${factor * multiple}, got ${side}`)
		}
	}
	return [latentChannels, height / factor, width / factor]
}

/** Pure noise, as strong as the sampler begins with. */
export const pureNoise = ({ initialSigma }: Sampler, { data, dims }: Tensor): Tensor => ({
	data: data.map((value) => value * initialSigma),
	dims
})
