import type { Evaluation } from '../ldm/denoiser.ts'
import type { Plan, Row } from '../ldm/plan.ts'

/*
 * What may be wrong in a plan that still draws a picture. A golden file is worth something where it shows each of them.
 */

type Change = (evaluations: readonly Evaluation[]) => readonly Evaluation[]

const later: Change = (evaluations) => evaluations.map((each) => ({ ...each, t: each.t + 1 }))

const swapped: Change = ([first, second]) => [
	{ ...first!, cond: second!.cond },
	{ ...second!, cond: first!.cond }
]

/** What is concatenated to the latent comes before it. */
const before =
	(latentChannels: number): Change =>
	(evaluations) =>
		evaluations.map(({ x: { data, dims }, ...rest }) => {
			const latent = (data.length / dims[0]!) * latentChannels
			return { ...rest, x: { data: Float32Array.from([...data.subarray(latent), ...data.subarray(0, latent)]), dims } }
		})

/** The plan with each of the faults that it can have. */
export function spoilt(plan: Plan, row: Row): Record<string, Plan> {
	const { channels, latentChannels } = plan.denoiser
	const changes: Record<string, Change> = {
		'timesteps off by one': later,
		...(plan.evaluate(row).length === 2 && { 'conditions swapped': swapped }),
		...(channels > latentChannels && { 'concatenation the other way round': before(latentChannels) })
	}
	return Object.fromEntries(
		Object.entries(changes).map(([fault, change]) => [fault, { ...plan, evaluate: (row) => change(plan.evaluate(row)) }])
	)
}
