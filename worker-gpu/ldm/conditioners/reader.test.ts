import { expect, test } from 'vitest'
import paper from '../../golden/paper.json' with { type: 'json' }
import { drawingOf, type Golden, open } from '../../golden/pipelines.ts'
import stableDiffusion from '../../golden/stable-diffusion.json' with { type: 'json' }
import stableDiffusion3 from '../../golden/stable-diffusion-3.json' with { type: 'json' }
import { planFor } from '../checkpoint.ts'

const golden = [paper, stableDiffusion, stableDiffusion3] as unknown as Golden[]

/** A model, told of every text that one of its encoders is asked for, and of every pause. */
async function watched(name: string) {
	const { models, drawn } = golden.find(({ models }) => models[name])!
	const { request } = drawn.find(({ model }) => model === name)!
	const told = { encoded: 0, pauses: 0 }
	const ended = (call: string) => {
		told.encoded += /text_encoder|bert/.test(call) ? 1 : 0
	}
	const checkpoint = await open(models[name]!, undefined, { milliseconds: 0, ended })
	const pause = async () => {
		told.pauses++
	}
	/** What the network is told of the text, and what of that which the picture is kept away from. */
	const conditions = async (prompt: string, negative_prompt: string, and = async () => {}) => {
		const drawing = { ...drawingOf(request), prompt, negative_prompt, guidance: 3 }
		const plan = await planFor(checkpoint, drawing, () => pause().then(and))
		return plan.evaluate(plan.start(0)).map(({ cond }) => cond)
	}
	return { told, conditions }
}

test.each([
	['text2im-kl', 1],
	['sd', 1],
	['xl', 2],
	['sd3', 2]
])('%s: what pictures are kept away from is encoded once for all of them, without a pause', async (name, encoders) => {
	const [{ told, conditions }, fresh] = [await watched(name), await watched(name)]
	await conditions('a red cube', 'blurry')
	expect(told).toEqual({ encoded: 2 * encoders, pauses: 2 * encoders })
	const got = await conditions('a cone', 'blurry')
	expect(told).toEqual({ encoded: 3 * encoders, pauses: 3 * encoders })
	expect(got).toEqual(await fresh.conditions('a cone', 'blurry'))
})

test('a text is forgotten when four others have been asked for since', async () => {
	const { told, conditions } = await watched('sd')
	const asked = [
		['a', 'b'],
		['c', 'd'],
		['a', 'e'],
		['a', 'b']
	] as const
	for (const [prompt, negative] of asked) {
		await conditions(prompt, negative)
	}
	expect(told.encoded).toBe(6) // b twice: a is not older than c, d and e.
})

test('what another has had encoded during a pause is not encoded again', async () => {
	const { told, conditions } = await watched('sd')
	let pauses = 0
	await conditions('a cone', 'blurry', async () => {
		pauses++
		if (pauses === 2) {
			await conditions('a red cube', 'blurry')
		}
	})
	expect(told).toEqual({ encoded: 3, pauses: 4 })
})
