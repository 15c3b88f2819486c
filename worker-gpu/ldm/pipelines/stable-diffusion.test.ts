import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { spoilt } from '../../golden/faults.ts'
import { develop, drawingOf, type Golden, misses, open } from '../../golden/pipelines.ts'
import { planFor } from '../checkpoint.ts'

const LATENT = 1e-4
const PIXELS = 1e-3

const file = path.join(import.meta.dirname, '../../golden/stable-diffusion.json')
const golden = JSON.parse(await readFile(file, 'utf8')) as Golden

describe.each(Object.entries(golden.models))('%s', async (name, model) => {
	const checkpoint = await open(model)
	const drawn = golden.drawn.filter((each) => each.model === name)

	test('can do what diffusers can with it', () => {
		expect(new Set(Object.keys(checkpoint))).toEqual(new Set(drawn.map(({ request }) => request.task)))
	})

	describe.each(drawn)(
		'$request.task, $request.sampler, $request.steps steps, $request.width × $request.height, from $request.seed',
		(expected) => {
			const { seed } = expected.request

			test('gives what diffusers gives', async () => {
				const plan = await planFor(checkpoint, drawingOf(expected.request))
				const miss = misses(await develop(plan, seed), expected, golden)
				expect(miss.latent).toBeLessThan(LATENT)
				expect(miss.pixels).toBeLessThan(PIXELS)
			})

			test('would show what went wrong', async () => {
				const plan = await planFor(checkpoint, drawingOf(expected.request))
				for (const [fault, wrong] of Object.entries(spoilt(plan, plan.start(seed)))) {
					expect(misses(await develop(wrong, seed), expected, golden).latent, fault).toBeGreaterThan(100 * LATENT)
				}
			})
		}
	)
})
