import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { assertFinite } from '../../onnx/finite.ts'
import { type Part, port } from '../../onnx/part.ts'
import { unstack } from '../../onnx/rows.ts'
import type { Tensor } from '../../onnx/tensor.ts'

const Config = z.object({ n_classes: z.int().min(1) })

/** A map of classes [1, H, W] to what is concatenated to the latent, [C, h, w]. */
export type Rescale = (map: Tensor) => Promise<Tensor>

/** The paper's SpatialRescaler: `semantic_map` [B, H, W] of class numbers → `latent_map` [B, C, H / f, W / f]. */
export async function semanticMap(rescaler: Part): Promise<Rescale> {
	const { n_classes: count } = await readConfig(path.join(rescaler.folder, 'config.json'), Config)
	port(rescaler, 'inputs', 'semantic_map')
	port(rescaler, 'outputs', 'latent_map')
	return async ({ data, dims }) => {
		const beyond = data.find((label) => !(Number.isInteger(label) && label >= 0 && label < count))
		if (beyond !== undefined) {
			throw new RangeError(`semantic_map: expected whole numbers from 0 to ${count - 1}, got ${beyond}`)
		}
		const [batch] = await rescaler.run({ semantic_map: { data, dims } }, ['latent_map']) // [1, C, h, w]
		const [map] = unstack(batch!)
		assertFinite(map!, 'latent_map of spatial_rescaler')
		return map!
	}
}
