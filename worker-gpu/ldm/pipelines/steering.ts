import { volume } from '../../onnx/tensor.ts'
import type { Denoiser, Inputs } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import type { Sampler } from '../samplers/sampler.ts'
import { given } from './inputs.ts'

/**
 * What steers a U-Net that is one graph with its ControlNet (Zhang et al., 2023), at evaluation k: a map [3, H, W], and how strongly. Both branches of guidance
 * have it, as in diffusers' StableDiffusionControlNetPipeline. Without a map, and before `control_start` and after `control_end` of the evaluations, the scale is
 * 0, which adds nothing: it draws as the U-Net alone. Nothing for other U-Nets, which take no map: nobody would see that it was left out of account.
 */
export function steering(drawing: Drawing, { isSteered }: Denoiser, { timesteps }: Sampler): (k: number) => Inputs {
	const { control_image: map, control_scale: scale = 1, control_start: start = 0, control_end: end = 1, width, height } = drawing
	if (!isSteered) {
		if (map) {
			throw new RangeError('control_image: expected none, for the U-Net has no ControlNet, got one')
		}
		return () => ({})
	}
	if (!(scale >= 0)) {
		throw new RangeError(`control_scale: expected a number from 0 on, got ${scale}`)
	}
	if (!(start >= 0 && start < end && end <= 1)) {
		throw new RangeError(`control_start, control_end: expected 0 ≤ start < end ≤ 1, got ${start} and ${end}`)
	}
	const dims = [3, height, width]
	const told = (factor: number): Inputs => ({
		controlnet_cond: shown,
		conditioning_scale: { data: Float32Array.of(factor), dims: [] }
	})
	const shown = map ? given(drawing, 'control_image') : { data: new Float32Array(volume(dims)), dims }
	const [steered, free] = [told(scale), told(0)]
	const { length } = timesteps
	return (k) => (map && k / length >= start && (k + 1) / length <= end ? steered : free)
}
