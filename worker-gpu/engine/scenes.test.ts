import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { models } from '../../shared/catalog.ts'
import { requestFor, taskOf } from '../../shared/contract/request-for.ts'
import { InputName } from '../../shared/inputs.ts'
import { decodeInputs } from '../image/decode.ts'
import { startEngine } from './client.ts'
import type { Engine } from './engine.ts'

let engine: Engine
beforeAll(async () => {
	engine = await startEngine({ models: models.map(({ id }) => id), provider: 'cpu', measureLimits: false })
})
afterAll(() => engine?.close())

// At the demo models' real sizes ONNX Runtime chooses other kernels than for a toy, and other ones for a batch of one.
test.each(models)('the shipped model $id draws the same bits alone and among strangers', { timeout: 60_000 }, async (model) => {
	const example = model.examples![0]!.request
	const task = taskOf(model, example)
	const files = InputName.options.flatMap((name) => {
		const file = example[name]
		return file ? [[name, new Uint8Array(Buffer.from(file.slice(file.indexOf(',')), 'base64'))] as const] : []
	})
	const image = files[0] && (await sharp(files[0][1]).metadata())
	const resolve = requestFor(model, { task, stored: false, image })
	const ask = (fields: object) => resolve.parse({ model: model.id, ...example, steps: 3, ...fields })
	const draw = async (request: ReturnType<typeof ask>) =>
		(await engine.develop(request, { inputs: await decodeInputs(request, model.tasks, Object.fromEntries(files)) })).pictures
	// What super-resolution makes is as large as its image says.
	const narrow = task === 'super-resolution' ? {} : { width: model.size.min }
	const asked = [ask({ seed: 1 }), ask({ seed: 2, guidance: 0 }), ask({ seed: 3, steps: 5, ...narrow })]
	const alone = []
	for (const request of asked) {
		alone.push(await draw(request))
	}
	const strangers = draw(ask({ seed: 9, count: 3, steps: 7 }))
	expect(await Promise.all(asked.map(draw))).toEqual(alone)
	await strangers
	expect(alone[0]).not.toEqual(alone[1])
})

test('prompts worded freely are drawn as the captions that say the same', { timeout: 60_000 }, async () => {
	const resolve = requestFor(models[0]!, { task: 'text-to-image', stored: false })
	const draw = async (prompt: string) =>
		(await engine.develop(resolve.parse({ model: 'scenes', prompt, seed: 1, steps: 2 }))).pictures
	const other = await draw('a yellow cone')
	for (const [wording, caption] of [
		['Crimson ball!', 'a red sphere'],
		['Two red cubes and a green one', 'a small red cube, a small red cube and a small green cube'],
		['ein roter Würfel', 'a red cube'],
		['a beautiful photorealistic 4k render of a gren cone', 'a green cone'],
		['two small cubes, a red one and a blue one', 'a small red cube and a small blue cube'],
		[
			'On a black table: a brown cylinder with a tiny violet block to its left.',
			'a brown cylinder to the right of a small purple cube on a dark floor'
		]
	] as const) {
		const drawn = await draw(wording)
		expect(drawn, wording).toEqual(await draw(caption))
		expect(drawn, wording).not.toEqual(other)
	}
})
