import { z } from 'zod'

/**
 * Samplers by name. Each reads the model's own scheduler settings, as `NewScheduler.from_config(pipeline.scheduler.config)` does in diffusers;
 * `dpm++-2m` is its DPMSolverMultistepScheduler, whose -karras and -sde forms set what their name says.
 */
export const SamplerName = z.enum([
	'ddpm',
	'ddim',
	'pndm',
	'lms',
	'euler',
	'euler-ancestral',
	'heun',
	'dpm++-2m',
	'dpm++-2m-karras',
	'dpm++-2m-sde',
	'dpm++-2m-sde-karras',
	'unipc',
	'lcm'
])
export type SamplerName = z.infer<typeof SamplerName>

/**
 * Most steps of a sampler, where `most` bounds the evaluations of the U-Net: Heun takes two a step, but for the last. Models distilled for
 * LCM have as many as they were distilled from as their own limit.
 */
export const mostSteps = (sampler: SamplerName | null, most: number): number =>
	sampler === 'heun' ? Math.max(1, Math.floor((most + 1) / 2)) : most
