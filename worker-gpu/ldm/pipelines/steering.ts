import { volume } from '../../onnx/tensor.ts'
import type { Denoiser, Inputs } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import { given } from './inputs.ts'

/**
 * What steers a U-Net that is one graph with its ControlNet (Zhang et al., 2023): a map [3, H, W], and how strongly. Both branches of guidance have it, as in
 * diffusers' StableDiffusionControlNetPipeline. Without a map the scale is 0, which adds nothing: it draws as the U-Net alone. Nothing for other U-Nets, which take no map:
 * nobody would see that it was left out of account.
 */
export function steering(drawing: Drawing, { isSteered }: Denoiser): Inputs {
	const { control_image: map, control_scale: scale = 1, width, height } = drawing
	if (!isSteered) {
		if (map) {
			throw new RangeError('control_image: expected none, for the U-Net has no ControlNet, got one')
		}
		return {}
	}
	if (!(scale >= 0)) {
		throw new RangeError(`control_scale: expected a number from 0 on, got ${scale}`)
	}
	const dims = [3, height, width]
	return {
		controlnet_cond: map ? given(drawing, 'control_image') : { data: new Float32Array(volume(dims)), dims },
		conditioning_scale: { data: Float32Array.of(map ? scale : 0), dims: [] }
	}
}
