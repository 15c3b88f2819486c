import path from 'node:path'
import { assertFinite } from '../../onnx/finite.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { type Part, port } from '../../onnx/part.ts'
import { unstack } from '../../onnx/rows.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import type { Pause } from '../pause.ts'

/** A first stage's two networks as they were exported: nothing drawn, nothing scaled. One picture at a time: batches do not help them. */
export interface Autoencoder {
	/** Pixels a latent stands for, along each side: f. */
	readonly factor: number
	/** [3, H, W] → [C or 2C, H / f, W / f]. Pauses between tiles. */
	encode(image: Tensor, pause?: Pause): Promise<Tensor>
	/** [C, h, w] → [3, h · f, w · f]. Pauses between tiles. */
	decode(z: Tensor, pause?: Pause): Promise<Tensor>
}

/** @param encoded the encoder's output: `latent_parameters` or `latent_sample` */
export function autoencoder(factor: number, decoder: Part, encoder: Part | undefined, encoded: string): Autoencoder {
	port(decoder, 'inputs', 'latent_sample')
	port(decoder, 'outputs', 'sample')
	return {
		factor,
		async encode(image) {
			if (!encoder) {
				throw new ModelError(decoder.folder, 'expected an encoder beside it, found none')
			}
			port(encoder, 'inputs', 'sample')
			port(encoder, 'outputs', encoded)
			const latent = await runOne(encoder, 'sample', image, encoded)
			expectTimes(encoder, latent, image, 1 / factor)
			return latent
		},
		async decode(z) {
			const image = await runOne(decoder, 'latent_sample', z, 'sample')
			expectTimes(decoder, image, z, factor)
			return image
		}
	}
}

/** Refuses a graph that halves sides more often, or less, than the config says: its pictures would have another size than asked for. */
function expectTimes({ folder }: Part, got: Tensor, given: Tensor, factor: number): void {
	const [, height, width] = got.dims
	if (height !== given.dims[1]! * factor || width !== given.dims[2]! * factor) {
		const expected = `expected sides ${factor} times as long, as block_out_channels of its config.json says`
		throw new ModelError(folder, `${expected}, got ${given.dims.slice(1).join(' × ')} to ${height} × ${width}`)
	}
}

async function runOne(part: Part, input: string, row: Tensor, output: string): Promise<Tensor> {
	const [batch] = await part.run({ [input]: { data: row.data, dims: [1, ...row.dims] } }, [output]) // [1, …]
	const [result] = unstack(batch!)
	assertFinite(result!, `${output} of ${path.basename(part.folder)}`)
	return result!
}
