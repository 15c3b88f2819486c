import path from 'node:path'
import { z } from 'zod'
import type { SamplerName } from '../../../shared/samplers.ts'
import { parseConfig, readJson } from '../../onnx/config.ts'
import { DdimConfig, ddim } from './ddim.ts'
import { DdpmConfig, ddpm } from './ddpm.ts'
import { DeisConfig, deis } from './deis.ts'
import { DpmSolverConfig, dpmSolver } from './dpm-solver.ts'
import { dpmSolverSinglestep, SinglestepConfig } from './dpm-solver-singlestep.ts'
import { EdmDpmSolverConfig, EdmEulerConfig, edmDpmSolver, edmEuler } from './edm.ts'
import { EulerConfig, euler } from './euler.ts'
import { EulerAncestralConfig, eulerAncestral } from './euler-ancestral.ts'
import { HeunConfig, heun } from './heun.ts'
import { Kdpm2Config, kdpm2, kdpm2Ancestral } from './kdpm2.ts'
import { LcmConfig, lcm } from './lcm.ts'
import { LmsConfig, lms } from './lms.ts'
import { PndmConfig, pndm } from './pndm.ts'
import type { Sampler } from './sampler.ts'
import { TcdConfig, tcd } from './tcd.ts'
import { UniPcConfig, uniPc } from './unipc.ts'

/** What a request says about its sampler; the model's own where it says nothing. */
export interface SamplerChoice {
	readonly steps: number
	readonly sampler?: SamplerName | null | undefined
	/** DDIM's η; 0 by default. */
	readonly eta?: number | null | undefined
	/** Latent consistency models' strength: how much of the walk that they were distilled from is taken, from its end; 1 by default. */
	readonly span?: number
}

export type SamplerFor = (choice: SamplerChoice) => Sampler

type Make = (choice: SamplerChoice) => Sampler
/** Reads a scheduler's settings, whichever class saved them, and gives what makes its sampler. */
type Scheduler = (file: string, settings: object) => Make

const scheduler =
	<S extends z.ZodType>(schema: S, make: (config: z.infer<S>, steps: number, choice: SamplerChoice) => Sampler): Scheduler =>
	(file, settings) => {
		const config = parseConfig(file, settings, schema)
		return (choice) => make(config, choice.steps, choice)
	}

/** diffusers' scheduler classes that there is a sampler for. */
const schedulers = {
	DDPMScheduler: scheduler(DdpmConfig, ddpm),
	DDIMScheduler: scheduler(DdimConfig, (config, steps, { eta }) => ddim(config, steps, eta ?? 0)),
	PNDMScheduler: scheduler(PndmConfig, pndm),
	LMSDiscreteScheduler: scheduler(LmsConfig, lms),
	EulerDiscreteScheduler: scheduler(EulerConfig, euler),
	EulerAncestralDiscreteScheduler: scheduler(EulerAncestralConfig, eulerAncestral),
	HeunDiscreteScheduler: scheduler(HeunConfig, heun),
	DPMSolverMultistepScheduler: scheduler(DpmSolverConfig, dpmSolver),
	UniPCMultistepScheduler: scheduler(UniPcConfig, uniPc),
	LCMScheduler: scheduler(LcmConfig, (config, steps, { span }) => lcm(config, steps, span)),
	// What models come with, and no request names.
	DEISMultistepScheduler: scheduler(DeisConfig, deis),
	DPMSolverSinglestepScheduler: scheduler(SinglestepConfig, dpmSolverSinglestep),
	KDPM2DiscreteScheduler: scheduler(Kdpm2Config, kdpm2),
	KDPM2AncestralDiscreteScheduler: scheduler(Kdpm2Config, kdpm2Ancestral),
	TCDScheduler: scheduler(TcdConfig, (config, steps, { eta }) => tcd(config, steps, eta ?? 0)),
	EDMEulerScheduler: scheduler(EdmEulerConfig, edmEuler),
	EDMDPMSolverMultistepScheduler: scheduler(EdmDpmSolverConfig, edmDpmSolver)
}

const karras = { use_karras_sigmas: true }
const stochastic = { algorithm_type: 'sde-dpmsolver++' }

/** What each name means: a class, and settings that go before the model's own. */
const named: Record<SamplerName, readonly [keyof typeof schedulers, object?]> = {
	ddpm: ['DDPMScheduler'],
	ddim: ['DDIMScheduler'],
	pndm: ['PNDMScheduler', { skip_prk_steps: true }],
	lms: ['LMSDiscreteScheduler'],
	euler: ['EulerDiscreteScheduler'],
	'euler-ancestral': ['EulerAncestralDiscreteScheduler'],
	heun: ['HeunDiscreteScheduler'],
	'dpm++-2m': ['DPMSolverMultistepScheduler'],
	'dpm++-2m-karras': ['DPMSolverMultistepScheduler', karras],
	'dpm++-2m-sde': ['DPMSolverMultistepScheduler', stochastic],
	'dpm++-2m-sde-karras': ['DPMSolverMultistepScheduler', { ...karras, ...stochastic }],
	unipc: ['UniPCMultistepScheduler'],
	lcm: ['LCMScheduler']
}

const classes = Object.keys(schedulers) as [keyof typeof schedulers]
const Saved = z.looseObject({
	_class_name: z.enum(classes, { error: ({ input }) => `expected one of ${classes.join(', ')}, got ${input}` }),
	_use_default_values: z.array(z.string()).default([])
})

/**
 * The samplers of a folder with a `scheduler_config.json`: the one that it names, and by request others with its settings.
 *
 * @param amended settings that the pipeline sets by itself, see `samplersOf`; `_class_name` too
 */
export async function loadSampler(folder: string, { _class_name, ...amended }: Amended = {}): Promise<SamplerFor> {
	const file = path.join(folder, 'scheduler_config.json')
	const json = await readJson(file)
	return samplersOf(file, _class_name ? Object.assign({}, json, { _class_name }) : json, amended)
}

export interface Amended extends Readonly<Record<string, unknown>> {
	readonly _class_name?: keyof typeof schedulers
}

/** Values that classes take for one of their own, the first, and hand on as that. */
const taken: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
	DPMSolverMultistepScheduler: { solver_type: ['midpoint', 'logrho', 'bh1', 'bh2'] },
	DPMSolverSinglestepScheduler: { solver_type: ['midpoint', 'logrho', 'bh1', 'bh2'] },
	UniPCMultistepScheduler: { solver_type: ['bh2', 'midpoint', 'heun', 'logrho'] },
	// The reference's solvers would take "deis" for dpmsolver++, and refuse it beside the final_sigmas_type that they have by default.
	DEISMultistepScheduler: {
		solver_type: ['logrho', 'midpoint', 'heun', 'bh1', 'bh2'],
		algorithm_type: ['dpmsolver++', 'deis', 'dpmsolver']
	}
}

function handedOn(className: string, saved: Readonly<Record<string, unknown>>): object {
	const takes = Object.entries(taken[className] ?? {}).filter(([key, values]) => values.some((value) => value === saved[key]))
	return Object.fromEntries(takes.map(([key, [first]]) => [key, first]))
}

/**
 * @param file what errors name
 * @param amended goes before the scheduler's own settings; other samplers take of it what the file had said, and their own defaults else
 */
export function samplersOf(file: string, json: unknown, amended: object = {}): SamplerFor {
	const { _class_name, _use_default_values, ...saved } = parseConfig(file, json, Saved)
	// Keys that the author left to the class that saved them: each class has its own default.
	const settings = Object.fromEntries(Object.entries(saved).filter(([key]) => !_use_default_values.includes(key)))
	const own = schedulers[_class_name](file, { ...settings, ...amended })
	const said = Object.fromEntries(Object.entries(amended).filter(([key]) => key in settings))
	const shared = { ...settings, ...said, ...handedOn(_class_name, settings) }
	return (choice) => {
		if (!choice.sampler) {
			return own(choice)
		}
		const [name, overrides] = named[choice.sampler]
		return schedulers[name](file, { ...shared, ...overrides })(choice)
	}
}
