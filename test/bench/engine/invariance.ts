import { createHash } from 'node:crypto'
import { createBatcher } from '../../../worker-gpu/engine/batcher.ts'
import type { Drawing } from '../../../worker-gpu/ldm/drawing.ts'
import type { Model } from './model.ts'

const row: Partial<Drawing> = { prompt: 'a small matte blue cube', steps: 20 }

/** Of other steps, samplers, guidance and sizes. */
const strangers: readonly Partial<Drawing>[] = [
	{ steps: 30, sampler: 'euler' },
	{ steps: 12, guidance: 1, sampler: 'dpm++-2m' },
	{ steps: 50, guidance: 7.5 },
	{ steps: 8, sampler: 'lcm', guidance: 1 },
	{ steps: 25, sampler: 'heun' },
	{ steps: 16, sampler: 'euler-ancestral', guidance: 2 },
	{ steps: 10, width: 96 }
]

/** The SHA-256 of a picture's numbers, drawn alone and among seven strangers. */
export async function invariance(model: Model): Promise<{ alone: string; among: string }> {
	return { alone: await digest(model, []), among: await digest(model, strangers) }
}

async function digest({ plan, limits }: Model, others: readonly Partial<Drawing>[]): Promise<string> {
	const batcher = createBatcher({ limits })
	const hash = createHash('sha256')
	await Promise.all(
		[...others, row].map((drawing, seed) =>
			batcher.develop({
				prepare: () => plan(drawing),
				pictures: [{ n: 0, seed: drawing === row ? 5 : seed }],
				signal: new AbortController().signal,
				onProgress() {},
				onPicture(_, { data }) {
					if (drawing === row) {
						hash.update(data)
					}
				}
			})
		)
	)
	await batcher.halt()
	return hash.digest('hex')
}
