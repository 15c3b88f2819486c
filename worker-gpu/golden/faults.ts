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

/** What is shown beside the latent comes before it. */
const before: Change = (evaluations) => evaluations.map(({ x, beside, ...rest }) => ({ ...rest, x: beside!, beside: x }))

const steeredBy =
	(scale: number): Change =>
	(evaluations) =>
		evaluations.map((each) => ({
			...each,
			cond: { ...each.cond, conditioning_scale: { data: Float32Array.of(scale), dims: [] } }
		}))

const steeredByAnother: Change = (evaluations) =>
	evaluations.map((each) => {
		const { data, dims } = each.cond.controlnet_cond!
		return { ...each, cond: { ...each.cond, controlnet_cond: { data: data.toReversed(), dims } } }
	})

/** The plan with each of the faults that it can have. */
export function spoilt(plan: Plan, row: Row): Record<string, Plan> {
	const evaluations = plan.evaluate(row)
	const scaleAt = (k: number) => plan.evaluate({ ...row, k })[0]!.cond.conditioning_scale?.data[0] ?? 0
	const scales = Array.from({ length: plan.evaluations }, (_, k) => scaleAt(k))
	const most = Math.max(...scales)
	const changes: Record<string, Change> = {
		'timesteps off by one': later,
		...(evaluations.length === 2 && { 'conditions swapped': swapped }),
		...(most > 0 && { 'not steered': steeredBy(0), 'steered by another map': steeredByAnother }),
		...(scales.some((scale) => scale < most) && { 'steered all the way': steeredBy(most) }),
		...(evaluations[0]!.beside && { 'concatenation the other way round': before })
	}
	const late = (row: Row) => steeredBy(scales[Math.max(0, row.k - 1)]!)(plan.evaluate(row))
	return {
		...Object.fromEntries(
			Object.entries(changes).map(([fault, change]) => [fault, { ...plan, evaluate: (row: Row) => change(plan.evaluate(row)) }])
		),
		...(scales.some((scale) => scale < most) && { 'steered an evaluation late': { ...plan, evaluate: late } })
	}
}
