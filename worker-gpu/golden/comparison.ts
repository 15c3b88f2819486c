import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { createBatcher } from '../engine/batcher.ts'
import { measuredLimits } from '../engine/limits.ts'
import { planFor } from '../ldm/checkpoint.ts'
import type { Tensor } from '../onnx/tensor.ts'
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
		const drawings = new Map<(typeof drawn)[number], ReturnType<typeof develop>>()
		/** One by one, each once for all tests. */
		const alone = (each: (typeof drawn)[number]) => {
			const { request } = each
			const drawing = drawings.get(each) ?? planFor(checkpoint, drawingOf(request)).then((plan) => develop(plan, request.seed))
			drawings.set(each, drawing)
			return drawing
		}

		test('can do what the reference can with it', () => {
			expect(new Set(Object.keys(checkpoint))).toEqual(new Set(drawn.map(({ request }) => request.task)))
		})

		test('draws all of it at once to the same bits as one by one', async () => {
			const limits = { ...measuredLimits({ guessPositions: 1, measure: false }), of: () => ({ most: 7, light: 7 }) }
			const batcher = createBatcher({ limits })
			const among = drawn.map(async ({ request }) => {
				const got: { latent: Tensor; pixels: Tensor }[] = []
				await batcher.develop({
					prepare: (pause) => planFor(checkpoint, drawingOf(request), pause),
					pictures: [{ n: 0, seed: request.seed }],
					signal: new AbortController().signal,
					onProgress() {},
					onPicture: (_, pixels, { x: latent }) => got.push({ latent, pixels })
				})
				return got[0]
			})
			for (const [i, each] of drawn.entries()) {
				expect(await among[i], JSON.stringify(each.request)).toEqual(await alone(each))
			}
			await batcher.halt()
		})

		describe.each(drawn)(
			'$request.task, $request.sampler, $request.steps steps, $request.width × $request.height, from $request.seed',
			(expected) => {
				const { seed } = expected.request

				test('gives what the reference gives', async () => {
					const miss = misses(await alone(expected), expected, golden)
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
