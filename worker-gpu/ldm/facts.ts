import { existsSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { Model } from '../../shared/catalog.ts'
import { readConfig } from '../onnx/config.ts'

/** What was measured of a model when it was imported, or is wished of it, kept beside it. Every fact has something to fall back on. */
const Facts = z.strictObject({
	/** The smallest batch whose rows come out with the same bits in any larger one, on the CPU that imported it. */
	invariantFrom: z.int().min(1).optional(),
	/** How many rows each call of the U-Net must have: as many as it was exported for, or one where a row's answer depends on its company. */
	rows: z.int().min(1).optional(),
	/** Whether pictures larger than those of the training are encoded and decoded in tiles, for which less memory is enough: see first-stages/tiled.ts. */
	tiling: z.boolean().optional(),
	/** Parts that it has of another model, whose folder lies beside its own: `{"vae_decoder": "scenes"}`. */
	parts: z.record(z.string().regex(/^[a-z0-9_]+$/), Model.shape.id).optional(),
	/** The nearest linear map from a latent, as the U-Net has it, to the colour of the pixels that it stands for, −1 to 1. */
	preview: z
		.strictObject({
			/** Red, green, blue: a number for each channel of the latent. */
			weight: z.tuple([z.array(z.number()), z.array(z.number()), z.array(z.number())]),
			bias: z.tuple([z.number(), z.number(), z.number()])
		})
		.optional()
})
export type Facts = z.infer<typeof Facts>

export const FACTS = 'darkroom.json'

/** `darkroom.json` of a model's folder; nothing where there is none. */
export async function readFacts(folder: string): Promise<Facts> {
	const file = path.join(folder, FACTS)
	return existsSync(file) ? readConfig(file, Facts) : {}
}
