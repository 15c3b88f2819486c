import type { Conditioner } from '../conditioners/conditioner.ts'
import type { Denoiser } from '../denoiser.ts'
import type { FirstStage } from '../first-stages/first-stage.ts'
import { guide } from '../guidance.ts'
import { generator } from '../noise.ts'
import type { Pipeline } from '../plan.ts'
import type { SamplerFor } from '../samplers/load.ts'

export interface TextToImageParts {
	readonly conditioner: Conditioner<string>
	readonly denoiser: Denoiser
	readonly firstStage: FirstStage
	readonly samplerFor: SamplerFor
}

/** Stable Diffusion's own way from a text to a picture, as in diffusers' StableDiffusionPipeline. */
export const textToImage: Pipeline<TextToImageParts> = async (request, { conditioner, denoiser, firstStage, samplerFor }) => {
	const { factor } = firstStage
	for (const side of ['width', 'height'] as const) {
		if (!Number.isInteger(request[side] / factor)) {
			throw new RangeError(`${side}: expected a multiple of ${factor}, got ${request[side]}`)
		}
	}
	const sampler = samplerFor(request)
	const dims = [denoiser.channels, request.height / factor, request.width / factor]
	const guided = request.guidance > 1
	const cond = await conditioner.encode(request.prompt)
	const branches = guided ? [await conditioner.encode(request.negative_prompt ?? ''), cond] : [cond]

	return {
		denoiser,
		evaluations: sampler.timesteps.length,
		start(seed) {
			const noise = generator(seed)
			const { data } = noise.normal(dims)
			const x = { data: data.map((value) => value * sampler.initialSigma), dims }
			return { x, k: 0, history: sampler.start(), noise }
		},
		evaluate({ x, k }) {
			const shown = sampler.scale(x, k)
			return branches.map((branch) => ({ x: shown, t: sampler.timesteps[k]!, cond: branch }))
		},
		advance(row, [first, second]) {
			const output = guided ? guide(first!, second!, request.guidance) : first!
			const { x, history, x0 } = sampler.advance(row, output, row.k, row.noise)
			row.x = x
			row.x0 = x0
			row.history = history
			row.k += 1
		},
		finish: ({ x }) => firstStage.decode(x)
	}
}
