import path from 'node:path'
import { z } from 'zod'
import { ROWS } from '../onnx/branches.ts'
import { readConfig } from '../onnx/config.ts'
import { toHalf } from '../onnx/half.ts'
import { ModelError } from '../onnx/model-error.ts'
import { type Part, type Port, port } from '../onnx/part.ts'
import { type Stack, type Stackable, stacking, unstack } from '../onnx/rows.ts'
import type { Tensor } from '../onnx/tensor.ts'
import { guidanceEmbedding } from './guidance.ts'
import { Levels, multipleOf } from './widths.ts'

/** Named network inputs of one row, no batch axis: `encoder_hidden_states` [L, D]. */
export type Inputs = Readonly<Record<string, Tensor>>

/** One question to the network: ε_θ(x_t, t, y), or v_θ, whatever it was trained to answer. */
export interface Evaluation {
	/** [C, h, w] */
	readonly x: Tensor
	/** [C′, h, w]: what the network is shown beside it, as the channels after those of x. */
	readonly beside?: Tensor | undefined
	readonly t: number
	readonly cond: Inputs
}

/** The U-Net: the one network that is run in batches. */
export interface Denoiser {
	/** Distinguishes it from the other denoisers of the process. */
	readonly id: string
	/** The latent's, and those of what is shown beside it. */
	readonly channels: number
	/** Channels of the latent, and of the answer. */
	readonly latentChannels: number
	/** Its U shape halves sides so often that they must be multiples of this. */
	readonly multiple: number
	/** What tells a network that was distilled with guidance how strong to guide; undefined for others. */
	readonly guidanceInput: ((scale: number) => Inputs) | undefined
	/** Whether a ControlNet is in its graph, which takes a map and a scale: `controlnet_cond` [3, H, W], `conditioning_scale`. */
	readonly isSteered: boolean
	/** Answers [latentChannels, h, w] in the order of the evaluations, which must have the same shapes. Timesteps may differ. */
	predict(evaluations: readonly Evaluation[]): Promise<Tensor[]>
	/** Whether that takes no longer than the next calls like it: see engine/steady-sizes.ts. */
	isPlanned(evaluations: readonly Evaluation[]): boolean
}

/** diffusers' UNet2DConditionModel and UNet2DModel, with their defaults; transformers say all of it. */
const Config = z.object({
	in_channels: z.int().min(1),
	out_channels: z.int().min(1).default(4),
	...Levels,
	time_cond_proj_dim: z.int().min(2).max(4_096).nullish()
})
export type Settings = z.infer<typeof Config>

/** What a U-Net calls the latent that it is shown, and what a transformer in its place. */
export const latentInput = (inputs: ReadonlyMap<string, unknown>): string =>
	inputs.has('hidden_states') ? 'hidden_states' : 'sample'

/** What they call the answer. */
export const answerOutput = (outputs: ReadonlyMap<string, unknown>): string =>
	['out_sample', 'out_hidden_states'].find((name) => outputs.has(name)) ?? [...outputs.keys()][0]!

/**
 * A U-Net in diffusers' ONNX layout, or a transformer in its place: `sample` or `hidden_states` [B, C, h, w], `timestep` [B], then what the conditioner
 * gives. Where the graph was rewritten to compute what guidance's branches share once (onnx/branches.ts), the first two are of as many latents as there are.
 *
 * Smaller batches than `invariantFrom` are filled up with copies of the last row, so that a row's answer has the same bits
 * whatever its company.
 *
 * @param rows how many rows a call has, neither more nor less, where that is not for us to choose
 * @param settings where its config.json has others
 */
export async function unet(part: Part, invariantFrom: number, rows?: number, settings?: Settings): Promise<Denoiser> {
	const file = path.join(part.folder, 'config.json')
	const config = settings ?? (await readConfig(file, Config))
	refuseSharedTimestep(part)
	const [input, output] = [latentInput(part.inputs), answerOutput(part.outputs)]
	const declared: { readonly [Key in keyof typeof config]?: Port } = {
		in_channels: port(part, 'inputs', input),
		out_channels: port(part, 'outputs', output),
		...(config.time_cond_proj_dim != null && { time_cond_proj_dim: port(part, 'inputs', 'timestep_cond') })
	}
	for (const [key, { dims }] of Object.entries(declared) as [keyof typeof config, Port][]) {
		if (typeof dims[1] === 'number' && dims[1] !== config[key]) {
			throw new ModelError(file, `${key}: expected ${dims[1]}, as the graph has it, got ${config[key]}`)
		}
	}
	if (config.out_channels > config.in_channels) {
		const expected = `expected at most in_channels, ${config.in_channels}, got ${config.out_channels}`
		throw new ModelError(file, `out_channels: ${expected}: for a variance that is answered too there is no sampler`)
	}
	const half = port(part, 'inputs', input).type === 'float16'
	const inHalves = halvesOnce()
	/** One call's memory, which is its own until it is over. */
	const memory = () => ({
		packed: stacking(half),
		conditioning: conditioningOf(part, inHalves)
	})
	/** Calls that take turns find what they had before. */
	const spare: ReturnType<typeof memory>[] = []
	const sharing = part.inputs.has(ROWS)
	const least = rows ?? invariantFrom
	/** B rows, and the U latents that they are of. */
	const arranged = (evaluations: readonly Evaluation[]) => {
		const filled = filledUp(evaluations, least)
		const { latents, rows: those } = sharing ? branchesOf(filled) : { latents: filled, rows: [] }
		return { latents: filledUp(latents, least), filled, those }
	}
	const call = async (evaluations: readonly Evaluation[]): Promise<Tensor[]> => {
		const { latents, filled, those } = arranged(evaluations)
		const own = spare.shift() ?? memory()
		const feeds = {
			[input]: own.packed(latents.flatMap(shown), [latents.length, ...shownDims(latents[0]!)]), // [U, C + C′, h, w]
			timestep: { data: latents.map(({ t }) => t), dims: [latents.length] },
			...own.conditioning(filled.map(({ cond }) => cond)), // [B, L, D]
			...(sharing && { [ROWS]: { data: those, dims: [those.length] } })
		}
		try {
			const [answers] = await part.run(feeds, [output])
			return unstack(answers!).slice(0, evaluations.length)
		} finally {
			spare.push(own)
		}
	}
	return {
		id: part.folder,
		channels: config.in_channels,
		latentChannels: config.out_channels,
		multiple: multipleOf(config),
		guidanceInput: guidanceInputOf(part, config),
		isSteered: part.inputs.has('controlnet_cond'),
		async predict(evaluations) {
			const answers: Tensor[] = []
			const each = rows ?? evaluations.length
			for (let from = 0; from < evaluations.length; from += each) {
				answers.push(...(await call(evaluations.slice(from, from + each))))
			}
			return answers
		},
		isPlanned(evaluations) {
			const { latents, filled, those } = arranged(evaluations.slice(0, rows))
			const { cond } = filled[0]!
			const batch = (count: number, dims: readonly number[]) => ({ dims: [count, ...dims] })
			const conds = Object.entries(cond).map(([name, { dims }]) => [name, batch(filled.length, dims)])
			return part.isPlanned({
				[input]: batch(latents.length, shownDims(filled[0]!)),
				timestep: batch(latents.length, []),
				...Object.fromEntries(conds),
				...(sharing && { [ROWS]: batch(those.length, []) })
			})
		}
	}
}

function guidanceInputOf({ inputs }: Part, { time_cond_proj_dim: length }: Settings): Denoiser['guidanceInput'] {
	if (length != null) {
		return (scale) => ({ timestep_cond: guidanceEmbedding(scale - 1, length) })
	}
	return inputs.has('guidance') ? (scale) => ({ guidance: { data: Float32Array.of(scale), dims: [] } }) : undefined
}

const filledUp = (evaluations: readonly Evaluation[], least: number): readonly Evaluation[] => [
	...evaluations,
	...Array<Evaluation>(Math.max(0, least - evaluations.length)).fill(evaluations.at(-1)!)
]

/** Guidance's branches ask of one latent: what is asked of different ones, and for each evaluation which of them its own is. */
function branchesOf(evaluations: readonly Evaluation[]): { latents: Evaluation[]; rows: number[] } {
	const latents: Evaluation[] = []
	const rows = evaluations.map((evaluation) => {
		const last = latents.at(-1)
		if (last?.x !== evaluation.x || last.beside !== evaluation.beside || last.t !== evaluation.t) {
			latents.push(evaluation)
		}
		return latents.length - 1
	})
	return { latents, rows }
}

const shown = ({ x, beside }: Evaluation): Tensor[] => (beside ? [x, beside] : [x])
const shownDims = ({ x: { dims }, beside }: Evaluation): readonly number[] => [
	dims[0]! + (beside?.dims[0] ?? 0),
	...dims.slice(1)
]

/** To make halves of conditioning takes twenty times as long as to copy them; a picture's stays the same for all its steps. */
function halvesOnce(): (row: Tensor) => Stackable {
	const halves = new WeakMap<Tensor, Stackable>()
	return (row) => {
		const made = halves.get(row) ?? { data: toHalf(row.data), dims: row.dims }
		halves.set(row, made)
		return made
	}
}

function conditioningOf(
	{ inputs }: Part,
	inHalves: (row: Tensor) => Stackable
): (conds: readonly Inputs[]) => Record<string, Stackable> {
	const stacks = new Map<string, Stack>()
	return (conds) => {
		const together = Object.entries(conds[0]!).map(([name, { dims }]) => {
			const half = inputs.get(name)?.type === 'float16'
			const stack = stacks.get(name) ?? stacking(half)
			stacks.set(name, stack)
			const rows = conds.map((cond) => cond[name]!)
			return [name, stack(half ? rows.map(inHalves) : rows, [conds.length, ...dims])]
		})
		return Object.fromEntries(together)
	}
}

/** Rows of one batch stand at different timesteps. Optimum 1.24 and later export a scalar, one timestep for all of them. */
function refuseSharedTimestep(part: Part): void {
	const { type, dims } = port(part, 'inputs', 'timestep')
	const perRow = dims.length === 1 && typeof dims[0] === 'string'
	if (!perRow || (type !== 'float32' && type !== 'float16')) {
		throw new ModelError(
			part.folder,
			`expected the input timestep as one float for each row (float32 [batch]), got ${type} [${dims.join(', ')}]: ` +
				'import the model, which rewrites that input'
		)
	}
}
