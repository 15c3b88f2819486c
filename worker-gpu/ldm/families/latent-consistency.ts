import type { Family } from '../checkpoint.ts'
import type { SamplerChoice } from '../samplers/load.ts'
import { byText, loadParts, loadText } from './stable-diffusion.ts'

/** As Stable Diffusion, distilled to a few steps of a sampler of its own, and told the guidance (Luo et al., 2023). */
export const latentConsistency: Family = async (folder) => {
	const parts = await loadParts(folder, { conditioner: await loadText(folder), inputs: ['timestep_cond'] })
	const samplerFor = (choice: SamplerChoice) => {
		if (choice.sampler && choice.sampler !== 'lcm') {
			throw new RangeError(`sampler: expected lcm, which the model was distilled for, or null, got ${choice.sampler}`)
		}
		return parts.samplerFor(choice)
	}
	const { inpainting: _, ...tasks } = byText(folder, {
		...parts,
		samplerFor,
		// All the steps that were asked for, in that much of the walk.
		lastPartFor: (drawing) => samplerFor({ ...drawing, span: drawing.strength })
	})
	return tasks
}
