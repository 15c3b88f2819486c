import { ModelError } from '../../onnx/model-error.ts'
import { type Part, port } from '../../onnx/part.ts'
import { concatenate } from '../../onnx/tensor.ts'
import type { Inputs } from '../denoiser.ts'
import type { Pause } from '../pause.ts'
import type { Conditioner, Text } from './conditioner.ts'
import { type Reader, read } from './reader.ts'

/** What the refiner is told of how beautiful a picture is, as diffusers' pipelines tell it: that which is drawn, and that which it is to be kept away from. */
const SCORES = { drawn: 6, negative: 2.5 }

export interface TextPairOptions {
	/** Whether a text that was not given is all zeros, and not an empty text. */
	readonly zeros: boolean
	/** Whether the U-Net is told an aesthetic score in place of the size after cropping. */
	readonly scored: boolean
}

/**
 * SDXL's two text encoders (Podell et al., 2023, §2.1): the U-Net attends to the last but one hidden states of both, side by side, and is told
 * the second one's summary of the text, and the sizes before and after cropping (§2.2), here those of the picture. The refiner has the second one alone.
 *
 * @param first undefined where there is none
 */
export function textPair(first: Reader | undefined, second: Reader, { zeros, scored }: TextPairOptions): Conditioner<Text> {
	port(second.encoder, 'outputs', 'text_embeds')
	const readers = first ? [first, second] : [second]
	const told = async (text: string, pause?: Pause): Promise<Inputs> => {
		const [hidden] = first ? await read(first, text, [penultimate(first.encoder)], pause) : []
		const [also, text_embeds] = await read(second, text, [penultimate(second.encoder), 'text_embeds'], pause)
		return { encoder_hidden_states: hidden ? concatenate([hidden, also!], 1) : also!, text_embeds: text_embeds! }
	}
	/** As large as a text is. */
	let nothing: Inputs | undefined
	return {
		async encode({ text, negative = false, width, height }, pause) {
			const rest = scored ? [SCORES[negative ? 'negative' : 'drawn']] : [height, width]
			const time_ids = { data: Float32Array.of(height, width, 0, 0, ...rest), dims: [4 + rest.length] }
			if (text === null && zeros) {
				nothing ??= emptied(await told('', pause))
				return { ...nothing, time_ids }
			}
			return { ...(await told(text ?? '', pause)), time_ids }
		},
		cutOff: ({ text }) => readers.map(({ tokenize }) => tokenize(text ?? '').cutOff).find(Boolean) ?? ''
	}
}

const emptied = (inputs: Inputs): Inputs =>
	Object.fromEntries(
		Object.entries(inputs).map(([name, { data, dims }]) => [name, { data: new Float32Array(data.length), dims }])
	)

/** Optimum numbers the hidden states: hidden_states.0 are the embeddings, the last ones those of the last layer. */
export function penultimate({ folder, outputs }: Part): string {
	const layers = [...outputs.keys()].filter((name) => name.startsWith('hidden_states.')).length - 1
	if (layers < 1) {
		const names = [...outputs.keys()].join(', ')
		throw new ModelError(folder, `expected hidden_states.0, hidden_states.1, … among the graph's outputs, got ${names}`)
	}
	return `hidden_states.${layers - 1}`
}
