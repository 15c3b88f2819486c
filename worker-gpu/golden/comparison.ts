import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { planFor } from '../ldm/checkpoint.ts'
import { spoilt } from './faults.ts'
import { develop, drawingOf, type Golden, misses, open, type Tolerance } from './pipelines.ts'

const FLOAT32: Tolerance = { latent: 1e-4, pixels: 1e-3 }
/** What goes wrong moves a latent by far more than it may be off; a single step that stands next to the picture the least. */
const SHOWN = 20 * FLOAT32.latent

/** Tests of everything that a golden file holds. */
export function compareWith(file: string): void {
	const golden = JSON.parse(readFileSync(path.join(import.meta.dirname, file), 'utf8')) as Golden

	describe.each(Object.entries(golden.models))('%s', async (name, model) => {
		const checkpoint = await open(model)
		const { tolerance = FLOAT32 } = model
		const drawn = golden.drawn.filter((each) => each.model === name)

		test('can do what the reference can with it', () => {
			expect(new Set(Object.keys(checkpoint))).toEqual(new Set(drawn.map(({ request }) => request.task)))
		})

		describe.each(drawn)(
			'$request.task, $request.sampler, $request.steps steps, $request.width × $request.height, from $request.seed',
			(expected) => {
				const { seed } = expected.request

				test('gives what the reference gives', async () => {
					const plan = await planFor(checkpoint, drawingOf(expected.request))
					const miss = misses(await develop(plan, seed), expected, golden)
					expect(miss.latent).toBeLessThan(tolerance.latent)
					expect(miss.pixels).toBeLessThan(tolerance.pixels)
				})

				test('would show what went wrong', async () => {
					const plan = await planFor(checkpoint, drawingOf(expected.request))
					for (const [fault, wrong] of Object.entries(spoilt(plan, plan.start(seed)))) {
						expect(misses(await develop(wrong, seed), expected, golden).latent, fault).toBeGreaterThan(SHOWN)
					}
				})
			}
		)
	})
}
