import { expect, test } from 'vitest'
import { models } from '../../shared/catalog.ts'
import { requestFor } from '../../shared/contract/request-for.ts'
import { startEngine } from './client.ts'

// At the demo model's real size ONNX Runtime chooses other kernels than for a toy, and other ones for a batch of one.
test.each(models)('the shipped model $id draws the same bits alone and among strangers', { timeout: 60_000 }, async (model) => {
	const ask = (fields: object) =>
		requestFor(model).parse({ model: model.id, prompt: 'a large shiny red sphere', steps: 3, ...fields })
	const asked = [ask({ seed: 1 }), ask({ seed: 2, guidance: 0 }), ask({ seed: 3, steps: 5, width: 64 })]
	const engine = await startEngine({ models: [model.id], provider: 'cpu' })
	try {
		const alone = []
		for (const request of asked) {
			alone.push((await engine.develop(request)).pictures)
		}
		const strangers = engine.develop(ask({ prompt: 'a small matte blue cube', seed: 9, count: 3, steps: 7 }))
		expect(await Promise.all(asked.map(async (request) => (await engine.develop(request)).pictures))).toEqual(alone)
		await strangers
		expect(alone[0]).not.toEqual(alone[1])
	} finally {
		await engine.close()
	}
})
