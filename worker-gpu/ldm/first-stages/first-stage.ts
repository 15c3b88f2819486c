import type { Tensor } from '../../onnx/tensor.ts'

/** D of the paper's §3.1: latents to pixels. */
export interface FirstStage {
	/** Pixels a latent stands for, along each side. */
	readonly factor: number
	/** z [C, h, w] → [3, h · factor, w · factor], −1 to 1 where the network was sure, not clamped. */
	decode(z: Tensor): Promise<Tensor>
}
