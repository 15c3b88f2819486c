import { previewMap, shrink } from '../../worker-gpu/engine/preview.ts'
import type { Facts } from '../../worker-gpu/ldm/facts.ts'
import type { Tensor } from '../../worker-gpu/onnx/tensor.ts'

/** A latent [C, h, w] and the picture [3, h · f, w · f] that it was decoded to. */
export interface Pair {
	readonly latent: Tensor
	readonly image: Tensor
}
type Preview = NonNullable<Facts['preview']>

/** The linear map from a latent to the mean colour of the pixels that it stands for with the least squared error over all of `pairs`. */
export function fitPreview(pairs: readonly Pair[]): Preview {
	const map = previewMap(undefined)
	for (const { latent, image } of pairs) {
		map.learn(latent, image)
	}
	const { weight, bias } = map.facts()
	const round = (value: number) => Number(value.toPrecision(4))
	const [red, green, blue] = weight
	return { weight: [red.map(round), green.map(round), blue.map(round)], bias: [round(bias[0]), round(bias[1]), round(bias[2])] }
}

/** The share of the variance of the pairs' colours that a map explains: R², at most 1. */
export function explainedBy(preview: Preview, pairs: readonly Pair[]): number {
	const map = previewMap(preview)
	const predicted = pairs.map(({ latent }) => map.colours(latent).data)
	const seen = pairs.map(({ latent, image }) => shrink(image, latent.dims[1]!, latent.dims[2]!))
	let [missed, spread] = [0, 0]
	for (const c of [0, 1, 2]) {
		const channelOf = (pictures: Float32Array[]) =>
			pictures.flatMap((data) => [...data.subarray((c * data.length) / 3, ((c + 1) * data.length) / 3)])
		const [values, guesses] = [channelOf(seen), channelOf(predicted)]
		const mean = values.reduce((sum, value) => sum + value, 0) / values.length
		values.forEach((value, i) => {
			missed += (value - guesses[i]!) ** 2
			spread += (value - mean) ** 2
		})
	}
	return spread === 0 ? 0 : 1 - missed / spread
}
