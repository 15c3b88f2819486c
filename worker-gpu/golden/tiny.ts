import path from 'node:path'
import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import type { Drawing } from '../ldm/drawing.ts'

/** A Stable Diffusion of random weights, which draws in milliseconds. Its latents have half the sides of its pictures. */
export const tiny = path.join(import.meta.dirname, 'tiny')

export const tinyRequest: ResolvedRequest = {
	model: 'tiny',
	prompt: 'a red cube',
	negative_prompt: '',
	width: 16,
	height: 16,
	steps: 4,
	guidance: 3,
	seed: 5,
	count: 2
}

export const tinyDrawing: Drawing = {
	task: 'text-to-image',
	prompt: 'a red cube',
	negative_prompt: null,
	width: 16,
	height: 16,
	steps: 5,
	guidance: 3,
	guidance_rescale: 0,
	sampler: null,
	eta: null,
	strength: 1
}
