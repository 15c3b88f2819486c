import type { Options } from '../main.ts'
import { drawAll } from '../models.ts'
import type { Report } from '../results.ts'

/** Draws the weights of the models, all at once. */
export async function weights({ models, quick }: Options, report: Report): Promise<void> {
	const began = performance.now()
	const bytes = await drawAll(models, quick)
	await report('weights drawn', `${(bytes / 1e9).toFixed(1)} GB in ${((performance.now() - began) / 1000).toFixed(1)} s`)
}
