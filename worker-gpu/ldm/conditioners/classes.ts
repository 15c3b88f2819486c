import path from 'node:path'
import { z } from 'zod'
import { readConfig } from '../../onnx/config.ts'
import { assertFinite } from '../../onnx/finite.ts'
import { ModelError } from '../../onnx/model-error.ts'
import { type Part, port } from '../../onnx/part.ts'
import { unstack } from '../../onnx/rows.ts'
import type { Inputs } from '../denoiser.ts'
import type { Conditioner } from './conditioner.ts'

const Config = z.object({
	/** Rows of the embedding. */
	n_classes: z.int().min(1),
	/** The row that stands for no class: 1000 in the paper's ImageNet model, whose n_classes is 1001. Without it there is no guidance. */
	unconditional_class: z.int().min(0).nullish()
})

export interface Classes extends Conditioner<number> {
	/** What the network attends to where there is no class; undefined where it was never trained without. */
	readonly none: Inputs | undefined
}

/** The paper's ClassEmbedder: a context of one token for each class. `class_labels` [B] → `encoder_hidden_states` [B, 1, D]. */
export async function classes(embedder: Part): Promise<Classes> {
	const file = path.join(embedder.folder, 'config.json')
	const { n_classes: count, unconditional_class: none } = await readConfig(file, Config)
	if (none != null && none >= count) {
		throw new ModelError(file, `unconditional_class: expected one below n_classes, ${count}, got ${none}`)
	}
	port(embedder, 'inputs', 'class_labels')
	port(embedder, 'outputs', 'encoder_hidden_states')
	const embed = async (row: number): Promise<Inputs> => {
		const [context] = await embedder.run({ class_labels: { data: [row], dims: [1] } }, ['encoder_hidden_states']) // [1, 1, D]
		const [tokens] = unstack(context!)
		assertFinite(tokens!, 'encoder_hidden_states of class_embedder')
		return { encoder_hidden_states: tokens! }
	}
	return {
		none: none == null ? undefined : await embed(none),
		async encode(label) {
			assertClass(label, count, none)
			return embed(label)
		}
	}
}

/** Numbers that the network looks up by itself, as diffusers' transformers do; the one after the last stands for no class. */
export function numbers(count: number): Classes {
	const told = (row: number): Inputs => ({ class_labels: { data: Float32Array.of(row), dims: [] } })
	return {
		none: told(count),
		async encode(label) {
			assertClass(label, count)
			return told(label)
		}
	}
}

function assertClass(label: number, count: number, none?: number | null): void {
	if (!Number.isInteger(label) || label < 0 || label >= count || label === none) {
		const but = none == null ? '' : ` but ${none}`
		throw new RangeError(`class_label: expected a whole number below ${count}${but}, got ${label}`)
	}
}
