import type { Tensor } from '../../onnx/tensor.ts'
import type { Generator } from '../noise.ts'
import type { Pause } from '../pause.ts'

/** Draws a latent; the same for every call where the first stage knows no distribution, and then draws no noise. */
type Posterior = (noise: Generator) => Tensor

/** E and D of the paper's §3.1: pixels to latents, as the U-Net takes them, and back. */
export interface FirstStage {
	/** Pixels a latent stands for, along each side: f. */
	readonly factor: number
	/**
	 * image [3, H, W], −1 to 1, sides multiples of f → z [C, H / f, W / f], drawn for each picture from what is encoded once. Throws a
	 * ModelError where the model has no encoder, or one that cannot be used. Pauses before it, and between tiles.
	 */
	encode(image: Tensor, pause?: Pause): Promise<Posterior>
	/** z [C, h, w] → [3, h · f, w · f], −1 to 1 where the network was sure, not clamped. Pauses between tiles. */
	decode(z: Tensor, pause?: Pause): Promise<Tensor>
}
