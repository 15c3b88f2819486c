import path from 'node:path'
import { z } from 'zod'
import type { ModelTasks } from '../../shared/catalog.ts'
import { usualPrice } from '../../shared/pricing.ts'
import { SamplerName } from '../../shared/samplers.ts'
import { Task } from '../../shared/tasks.ts'
import { type Checkpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import type { Drawing } from '../../worker-gpu/ldm/drawing.ts'
import { isSchnell } from '../../worker-gpu/ldm/families/flux.ts'
import type { Plan } from '../../worker-gpu/ldm/plan.ts'
import { EulerConfig } from '../../worker-gpu/ldm/samplers/euler.ts'
import { LcmConfig } from '../../worker-gpu/ldm/samplers/lcm.ts'
import { loadSampler, type SamplerFor } from '../../worker-gpu/ldm/samplers/load.ts'
import { readConfig } from '../../worker-gpu/onnx/config.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Entry } from './catalog-file.ts'
import { colourfulDrawings, draw, exampleDrawing, exampleMap } from './draw.ts'
import type { Export } from './folder.ts'
import type { Pair } from './preview.ts'

/** Pixels, but for `factor`: how many of them a latent stands for, along each side. */
export interface Sizes {
	readonly default: number
	readonly min: number
	readonly max: number
	readonly multiple: number
	readonly factor: number
}

/** What trying a model's tasks has shown. */
export interface Tried {
	readonly tasks: ModelTasks
	/** Whether guidance changes anything, and whether it does so by what a picture is to be kept away from. */
	readonly guidance: { readonly has: boolean; readonly negative: boolean }
	readonly steps: { readonly min: number; readonly max: number }
	/** Pictures of the first task. */
	readonly pairs: readonly Pair[]
	/** Why tasks that its parts would allow are left out. */
	readonly notes: readonly string[]
}

/** Draws with each of the model's tasks, at its smallest size, and calls `tick` after each. Throws where it can do none of them. */
export async function tryTasks(checkpoint: Checkpoint, found: Export, sizes: Sizes, tick: () => void): Promise<Tried> {
	const tasks: Record<string, object> = {}
	const notes: string[] = []
	const errors: unknown[] = []
	let pairs: readonly Pair[] = []
	let guidance = { has: false, negative: false }
	let steps = { min: 1, max: 1 }
	const { inputs } = found.graphs.get(found.denoiser)!
	const { max_noise_level: noise_level } = await readConfig(path.join(found.folder, 'model_index.json'), Index)
	const example = { noise_level, ...(inputs.has('controlnet_cond') && { control_image: exampleMap(sizes.min) }) }
	for (const task of Task.options.filter((task) => checkpoint[task])) {
		const first = pairs.length === 0
		const plan = (change: Partial<Drawing>) =>
			planFor(checkpoint, exampleDrawing(task, sizes.min, sizes.factor, { ...example, ...change }))
		try {
			const settings = await settingsOf(task, sizes, found, plan)
			const { classes = [{}], labels = classes } = settings as { classes?: object[]; labels?: object[] }
			const changes = first ? colourfulDrawings(labels.length, sizes.min) : [{}]
			const drawn: Pair[] = []
			for (const [seed, change] of changes.entries()) {
				drawn.push(await draw(await plan(change), seed))
			}
			const guided = await plan({ guidance: 3 }).catch((error) => {
				if (error instanceof RangeError) {
					return undefined // It was never trained without what it is told.
				}
				throw error
			})
			const branches = guided?.evaluate(guided.start(0)).length ?? 1
			if (guided && branches > 1) {
				await draw(guided, 0)
			}
			steps = first ? await stepsOf(plan) : steps
			pairs = first ? drawn : pairs
			tasks[task] = settings
			const embedded = inputs.has('timestep_cond') || inputs.has('guidance')
			guidance = { has: guidance.has || embedded || branches > 1, negative: guidance.negative || branches > 1 }
		} catch (error) {
			errors.push(error)
			notes.push(`${task} is not offered: ${(error as Error).message}`)
		}
		tick()
	}
	if (Object.keys(tasks).length === 0) {
		throw errors[0]
	}
	return { tasks, guidance, steps, pairs, notes }
}

const Index = z.object({
	/** Names by number, as diffusers' DiTPipeline has them. */
	id2label: z.record(z.string().regex(/^\d+$/), z.string()).default({}),
	max_noise_level: z.int().min(0).default(350),
	requires_aesthetics_score: z.boolean().default(false)
})

/** That of models which were trained as flows. */
const FLOW = 'FlowMatchEulerDiscreteScheduler'

const Distilled = LcmConfig.pick({ original_inference_steps: true })

/** What the catalog says of a task. Numbers that are nowhere else are diffusers' own defaults. */
async function settingsOf(
	task: Task,
	{ factor, min }: Sizes,
	{ graphs, denoiser, folder, scheduler }: Export,
	plan: (change: Partial<Drawing>) => Promise<Plan>
): Promise<object> {
	const file = path.join(folder, 'model_index.json')
	const { id2label, max_noise_level, requires_aesthetics_score: refines } = await readConfig(file, Index)
	/** The names, which must be as many as the model knows: the last number is drawn, the one after it refused. */
	const named = async (drawing: (label: number) => Partial<Drawing>): Promise<string[]> => {
		const names = Array.from({ length: Object.keys(id2label).length }, (_, i) => id2label[i])
		await plan(drawing(0)) // What is wrong with more than numbers is told as it is.
		const draws = (label: number) => works(() => plan(drawing(label)))
		if (names.length === 0 || names.includes(undefined) || !(await draws(names.length - 1)) || (await draws(names.length))) {
			throw new ModelError(
				file,
				`id2label: expected a name for each number that the model knows, from 0 on, got ${names.length} names`
			)
		}
		return names as string[]
	}
	switch (task) {
		case 'image-to-image': {
			// It leaves no step, and is refused where it is read.
			if (await works(() => plan({ strength: 0 }))) {
				const isGuided = !(await works(() => plan({ image_guidance: 0 })))
				return isGuided ? { image_guidance: { default: 1.5, max: 20 } } : {}
			}
			// Where half of it takes as many steps as all of it, they are spread over that much of another walk.
			const isSpread = (await plan({ strength: 0.5 })).evaluations === (await plan({})).evaluations
			const file = path.join(folder, 'scheduler/scheduler_config.json')
			return {
				strength: refines ? 0.3 : scheduler === FLOW ? 0.6 : 0.8,
				...(isSpread && { original_steps: (await readConfig(file, Distilled)).original_inference_steps })
			}
		}
		case 'inpainting':
			return (await plan({ steps: 8, strength: 0.5 })).evaluations < (await plan({ steps: 8 })).evaluations
				? { strength: scheduler === FLOW ? 0.6 : 1 }
				: {}
		case 'super-resolution':
			return {
				factor,
				...(graphs.get(denoiser)!.inputs.has('class_labels') && {
					noise_level: { default: Math.min(20, max_noise_level), max: max_noise_level }
				})
			}
		case 'class-conditional':
			return { classes: await named((class_label) => ({ class_label })) }
		case 'layout-to-image': {
			const file = path.join(folder, 'layout_encoder/config.json')
			const { no_max_objects: max } = await readConfig(file, z.object({ no_max_objects: z.int().min(1) }))
			return { labels: await named((label) => ({ layout: [{ label, box: [0, 0, 1, 1] }] })), max }
		}
		case 'semantic-synthesis': {
			const names = await named((label) => ({
				semantic_map: { data: new Float32Array(min ** 2).fill(label), dims: [1, min, min] }
			}))
			return { labels: names.map((name, i) => ({ name, color: color(i, names.length) })) }
		}
		default:
			return {}
	}
}

/** A colour of its own for each of many classes: a golden angle on around the circle of hues, and a little darker, so that none is close to another's. */
export function color(i: number, count: number): string {
	const channel = (offset: number) =>
		Math.round(255 * (0.5 + 0.5 * Math.cos(2 * Math.PI * (i * 0.618034 + offset))) * (1 - i / count / 2))
	return `#${[0, 1 / 3, 2 / 3].map((offset) => channel(offset).toString(16).padStart(2, '0')).join('')}`
}

/** The entry of an imported model. Its limits are a beginning: people know better what they want to offer. */
export async function catalogEntry(
	id: string,
	staged: string,
	{ pipeline, scheduler, graphs, denoiser, files }: Export,
	sizes: Sizes,
	{ tasks, guidance, steps }: Tried
): Promise<Entry> {
	const folder = path.join(staged, 'scheduler')
	const text = files.some((name) => name.startsWith('tokenizer'))
	const lcm = scheduler === 'LCMScheduler'
	const flow = scheduler === FLOW
	const flux = /^(ORT)?Flux/.test(pipeline)
	const isSteered = graphs.get(denoiser)!.inputs.has('controlnet_cond')
	const t5 = flux || graphs.has('text_encoder_3')
	const fewSteps =
		lcm ||
		scheduler === 'TCDScheduler' ||
		(await isTurbo(scheduler, path.join(folder, 'scheduler_config.json'))) ||
		(flux && (await isSchnell(folder)))
	// Its distillation has taken the guidance in, but for where it is an input.
	const unguided = fewSteps && guidance.negative
	const { factor, ...size } = sizes
	return {
		id,
		name: id.replaceAll('-', ' ').replace(/^./, (first) => first.toUpperCase()),
		description: `Imported from an export of ${pipeline}, ${factor === 1 ? 'which draws in pixels' : `with latents at f = ${factor}`}.`,
		tasks,
		size,
		samplers: lcm ? ['lcm'] : flow ? ['euler'] : alone.has(scheduler) ? [] : usable(await loadSampler(folder)),
		steps: { default: Math.min(fewSteps ? 4 : flow ? 28 : 30, steps.max), ...steps },
		guidance: guidance.has
			? { default: unguided ? 1 : flux ? 3.5 : flow ? 7 : text ? 7.5 : 3, min: 0, max: 20 }
			: { default: 1, min: 0, max: 1 },
		count: { default: 1, max: 8 },
		...(isSteered && { control: { default: 1, max: 2 } }),
		// CLIP reads some 350 letters, T5 2,000: more is cut off, which a warning tells.
		prompt: { max: t5 ? 4000 : text ? 1000 : 0, negative: text && guidance.negative },
		price: usualPrice
	}
}

/** What these have in their settings, or were distilled for, is theirs alone: others would read it, and draw something else. */
const alone = new Set(['TCDScheduler', 'EDMEulerScheduler', 'EDMDPMSolverMultistepScheduler'])

/** SD-Turbo, SDXL-Turbo, Lightning and Hyper-SD come with Euler's steps, trailing; models that take many have them so where their last beta is one. */
async function isTurbo(scheduler: string, file: string): Promise<boolean> {
	if (!['EulerDiscreteScheduler', 'EulerAncestralDiscreteScheduler'].includes(scheduler)) {
		return false
	}
	const { timestep_spacing, prediction_type, rescale_betas_zero_snr } = await readConfig(file, EulerConfig)
	return timestep_spacing === 'trailing' && prediction_type === 'epsilon' && !rescale_betas_zero_snr
}

/** As many steps as nearly all models are trained with: the original DDPM takes each of them. */
const MOST_STEPS = 1000

/** The least and the most steps, of a thousand, that a picture can be planned with: no more than its model was trained with, or distilled from. */
async function stepsOf(plan: (change: Partial<Drawing>) => Promise<Plan>): Promise<Tried['steps']> {
	const plans = (steps: number) => works(() => plan({ steps }))
	let min = 1
	while (min < MOST_STEPS && !(await plans(min))) {
		min++
	}
	// Halved, for each plan reads its prompt anew.
	let [max, beyond] = (await plans(MOST_STEPS)) ? [MOST_STEPS, MOST_STEPS] : [min, MOST_STEPS]
	while (beyond - max > 1) {
		const middle = Math.floor((max + beyond) / 2)
		;[max, beyond] = (await plans(middle)) ? [middle, beyond] : [max, middle]
	}
	return { min, max }
}

const works = (work: () => Promise<unknown>): Promise<boolean> =>
	work().then(
		() => true,
		() => false
	)

/** The samplers that take the model's settings. LCM's is for models distilled for it. */
const usable = (samplerFor: SamplerFor): SamplerName[] =>
	SamplerName.options.filter((sampler) => {
		if (sampler === 'lcm') {
			return false
		}
		try {
			return samplerFor({ steps: 10, sampler }).timesteps.length > 0
		} catch {
			return false
		}
	})
