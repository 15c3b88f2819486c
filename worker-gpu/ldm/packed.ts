import type { Feed } from '../onnx/convert.ts'
import { ModelError } from '../onnx/model-error.ts'
import { type Part, type Port, port } from '../onnx/part.ts'
import { type Tensor, volume } from '../onnx/tensor.ts'

/** Latents along each side of what FLUX's transformer takes for one token. */
export const SIDE = 2

/** Whether a graph is a transformer of FLUX's: it is told where its tokens lie. */
export const isPacked = ({ inputs }: Pick<Part, 'inputs'>): boolean => inputs.has('img_ids')

type Dims = readonly [rows: number, channels: number, height: number, width: number]
type Dimensions = Readonly<Record<string, Pick<Feed, 'dims'>>>

/**
 * FLUX's transformer as if it took latents as others do, [B, C, h, w], and answered such. Its own `hidden_states` [B, (h / 2) (w / 2), 4 C] are tokens of 2 × 2 latents, row by
 * row; `img_ids` says where each of them lies, `txt_ids` the same of the text's, which lie nowhere: [n, 3], or [B, n, 3] in exports from before diffusers 0.31. Its
 * timestep counts from 0 to 1.
 */
export function unpacked(part: Part): Part {
	const inputs = unpackedInputs(part)
	const { dims } = inputs.get('hidden_states')!
	const outputs = new Map(Array.from(part.outputs, ([name, port]) => [name, { ...port, dims }]))
	const isBatched = (name: string) => port(part, 'inputs', name).dims.length === 3

	/** The dimensions of its own inputs, where the others are these. */
	const own = (given: Dimensions) => {
		const [rows, channels, h, w] = given.hidden_states!.dims as Dims
		const tokens = (h / SIDE) * (w / SIDE)
		const ids = (name: string, count: number) => ({ dims: [...(isBatched(name) ? [rows] : []), count, 3] })
		return {
			...given,
			hidden_states: { dims: [rows, tokens, channels * SIDE ** 2] },
			img_ids: ids('img_ids', tokens),
			txt_ids: ids('txt_ids', given.encoder_hidden_states!.dims[1]!)
		}
	}

	return {
		...part,
		inputs,
		outputs,
		async run(feeds, names) {
			const latents = feeds.hidden_states!.dims as Dims
			const { hidden_states, img_ids, txt_ids } = own(feeds)
			const timestep = feeds.timestep!
			const answers = await part.run(
				{
					...feeds,
					hidden_states: { data: pack(feeds.hidden_states!.data, latents), ...hidden_states },
					timestep: { data: Array.from(timestep.data, (t) => Math.fround(t / 1000)), dims: timestep.dims },
					img_ids: { data: places(latents, volume(img_ids.dims)), ...img_ids },
					txt_ids: { data: new Float32Array(volume(txt_ids.dims)), ...txt_ids }
				},
				names
			)
			return answers.map(({ data }): Tensor => ({ data: unpack(data, latents), dims: latents }))
		},
		isPlanned: (given) => part.isPlanned(own(given))
	}
}

/**
 * The inputs that it shows. Throws a ModelError where the graph does not say how wide its tokens are, where as many as it is for are none of a square, and where the places of the text
 * are told by the name of the picture's: optimum-onnx's `--dynamo` names them in another order than the network takes them in.
 */
export function unpackedInputs({ folder, inputs }: Pick<Part, 'folder' | 'inputs'>): ReadonlyMap<string, Port> {
	const { dims = [], type = '' } = inputs.get('hidden_states') ?? {}
	const [batch = '', tokens = '', width] = dims
	if (dims.length !== 3 || typeof width !== 'number' || width % SIDE ** 2 !== 0) {
		const expected = 'expected the input hidden_states as [batch, tokens, channels], four channels for each of the latent'
		throw new ModelError(folder, `${expected}, got [${dims.join(', ')}]`)
	}
	// Which of their shapes it is, tokens do not say.
	const side = typeof tokens === 'number' ? SIDE * Math.sqrt(tokens) : undefined
	if (side !== undefined && !Number.isInteger(side / SIDE)) {
		throw new ModelError(folder, `expected the input hidden_states of any number of tokens, or of a square, got ${tokens}`)
	}
	const lengthOf = (name: string) => inputs.get(name)?.dims.at(-2)
	const words = lengthOf('encoder_hidden_states')
	if (words !== tokens && lengthOf('img_ids') === words && lengthOf('txt_ids') === tokens) {
		const expected = `expected the input img_ids with as many places as hidden_states has tokens, ${tokens}`
		throw new ModelError(folder, `${expected}, got ${words}, which are those of txt_ids: its exporter mixed them up`)
	}
	const latent = { type, dims: [batch, width / SIDE ** 2, side ?? 'height', side ?? 'width'] }
	const others = [...inputs].filter(([name]) => !['hidden_states', 'img_ids', 'txt_ids'].includes(name))
	return new Map([['hidden_states', latent], ...others])
}

/** [B, C, h, w] → [B, (h / 2) (w / 2), 4 C], floats or the bits of halves. */
function pack(data: Feed['data'], dims: Dims): Float32Array | Uint16Array {
	const packed = data instanceof Uint16Array ? new Uint16Array(data.length) : new Float32Array(data.length)
	forEachPlace(dims, (latent, token) => {
		packed[token] = data[latent]!
	})
	return packed
}

function unpack(data: Float32Array, dims: Dims): Float32Array {
	const latents = new Float32Array(data.length)
	forEachPlace(dims, (latent, token) => {
		latents[latent] = data[token]!
	})
	return latents
}

/** Calls `visit` with where each number lies in [B, C, h, w], and where in [B, (h / 2) (w / 2), C · 2 · 2]. */
function forEachPlace([rows, channels, height, width]: Dims, visit: (latent: number, token: number) => void): void {
	let latent = 0
	for (let row = 0; row < rows; row++) {
		for (let channel = 0; channel < channels; channel++) {
			for (let y = 0; y < height; y++) {
				for (let x = 0; x < width; x++) {
					const place = (row * (height / SIDE) + (y >> 1)) * (width / SIDE) + (x >> 1)
					visit(latent++, ((place * channels + channel) * SIDE + (y & 1)) * SIDE + (x & 1))
				}
			}
		}
	}
}

/** Line and column of each token, after a nought; for each row the same. */
function places([, , height, width]: Dims, length: number): Float32Array {
	const [lines, columns] = [height / SIDE, width / SIDE]
	return Float32Array.from({ length }, (_, i) => {
		const token = Math.floor(i / 3) % (lines * columns)
		return [0, Math.floor(token / columns), token % columns][i % 3]!
	})
}
