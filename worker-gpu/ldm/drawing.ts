import type { SamplerName } from '../../shared/samplers.ts'
import type { Task } from '../../shared/tasks.ts'
import type { Tensor } from '../onnx/tensor.ts'

/** A request as the pipelines take it: inputs are tensors, and every setting is there. A pipeline reads what its task needs. */
export interface Drawing {
	readonly task: Task
	/** Empty where the task has none. */
	readonly prompt: string
	/** Null where none was given, which some models tell from an empty one. */
	readonly negative_prompt: string | null
	/** Of the finished picture, in pixels. */
	readonly width: number
	readonly height: number
	readonly steps: number
	readonly guidance: number
	/** φ of Lin et al. (2024), §3.4: how far guided outputs are brought back to the spread of unguided ones. */
	readonly guidance_rescale: number
	readonly sampler: SamplerName | null
	readonly eta: number | null
	/** How much of the walk an `image` is sent back, 0 to 1. */
	readonly strength: number
	/** [3, H, W], −1 to 1; as large as the picture, or in super-resolution the small one to enlarge. */
	readonly image?: Tensor
	/** [1, H, W], 0 to 1, as large as the picture; 1 is drawn anew. */
	readonly mask?: Tensor
	/** [1, H, W], as large as the picture: the class of each pixel, whole numbers. */
	readonly semantic_map?: Tensor
	/** [3, H, W], 0 to 1, as large as the picture: what a ControlNet is shown. */
	readonly control_image?: Tensor
	/** Labels by their number in the catalog; boxes in parts of the picture, from the top left corner. */
	readonly layout?: readonly { readonly label: number; readonly box: readonly [x0: number, y0: number, x1: number, y1: number] }[]
	readonly class_label?: number
	/** s_I of Brooks et al. (2023), eq. 3, 1 or more. */
	readonly image_guidance?: number
	/** How strongly `control_image` steers, 0 or more. */
	readonly control_scale?: number
	/** From which part of the evaluations on, and to which, it steers: 0 ≤ start < end ≤ 1. */
	readonly control_start?: number
	readonly control_end?: number
	/** Timestep up to which the upscaler's small picture is noised. */
	readonly noise_level?: number
}
