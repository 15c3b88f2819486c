import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { assertFinite } from '../../onnx/finite.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { type Part, port } from '../../onnx/part.ts'
import { unstack } from '../../onnx/rows.ts'
import type { Inputs } from '../denoiser.ts'
import type { Drawing } from '../drawing.ts'
import { roundHalfToEven } from '../samplers/timesteps.ts'
import type { Conditioner } from './conditioner.ts'

/** Named as the parameters of taming-transformers' ObjectsBoundingBoxConditionalBuilder. */
const Config = z.object({
	no_object_classes: z.int().min(1),
	no_max_objects: z.int().min(1).max(1_000),
	/** Tokens in all: as numbers of classes, and as places on a square grid of ⌊√no_tokens⌋ to a side. The last one stands for none. */
	no_tokens: z.int().min(4),
	/** Whether two tokens at the end say which part of a picture was trained on: all of it, here. */
	encode_crop: z.boolean().default(false),
	/** Whether it was trained without boxes too, now and then: a key of our own, for the paper's models were not. Without it there is no guidance. */
	unconditional_layout: z.boolean().default(false)
})

type Layout = NonNullable<Drawing['layout']>

export interface Layouts extends Conditioner<Layout> {
	/** What the network attends to where there are no boxes; undefined where it was never trained without. */
	readonly none: Inputs | undefined
}

/**
 * Boxes to what the network attends to: three tokens a box (class, top left, bottom right), filled up with "none", through a transformer
 * (the paper's BERTEmbedder). `input_ids` [B, L] → `last_hidden_state` [B, L, D].
 */
export async function layout(encoder: Part): Promise<Layouts> {
	const file = path.join(encoder.folder, 'config.json')
	const config = await readConfig(file, Config)
	const { no_object_classes: labels, no_max_objects: most, no_tokens: tokens, encode_crop: crop } = config
	if (labels > tokens) {
		throw new ModelError(file, `no_object_classes: expected at most no_tokens, ${tokens}, got ${labels}`)
	}
	port(encoder, 'inputs', 'input_ids')
	port(encoder, 'outputs', 'last_hidden_state')
	const sections = Math.floor(Math.sqrt(tokens))
	const place = (x: number, y: number) => roundHalfToEven(y * (sections - 1)) * sections + roundHalfToEven(x * (sections - 1))
	const encode = async (ids: number[]): Promise<Inputs> => {
		ids.push(...Array<number>(3 * most - ids.length).fill(tokens - 1))
		if (crop) {
			ids.push(place(0, 0), place(1, 1))
		}
		const [hidden] = await encoder.run({ input_ids: { data: ids, dims: [1, ids.length] } }, ['last_hidden_state']) // [1, L, D]
		const [row] = unstack(hidden!)
		assertFinite(row!, 'last_hidden_state of layout_encoder')
		return { encoder_hidden_states: row! }
	}

	return {
		none: config.unconditional_layout ? await encode([]) : undefined,
		async encode(boxes) {
			if (boxes.length > most) {
				throw new RangeError(`layout: expected at most ${most} boxes, got ${boxes.length}`)
			}
			const ids = boxes.flatMap(({ label, box: [x0, y0, x1, y1] }, i) => {
				if (!Number.isInteger(label) || label < 0 || label >= labels) {
					throw new RangeError(`layout[${i}].label: expected a whole number from 0 to ${labels - 1}, got ${label}`)
				}
				if (!(0 <= x0 && x0 < x1 && x1 <= 1 && 0 <= y0 && y0 < y1 && y1 <= 1)) {
					throw new RangeError(
						`layout[${i}].box: expected 0 ≤ x0 < x1 ≤ 1 and 0 ≤ y0 < y1 ≤ 1, got ${[x0, y0, x1, y1].join(', ')}`
					)
				}
				// By way of width and height, which is what the annotations have: it may round to another place.
				const [right, bottom] = [x0 + Math.min(x1 - x0, 1 - x0), y0 + Math.min(y1 - y0, 1 - y0)]
				return [label, place(x0, y0), place(right, bottom)]
			})
			return encode(ids)
		}
	}
}
