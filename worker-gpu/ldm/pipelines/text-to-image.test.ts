import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { SamplerName } from '../../../shared/samplers.ts'
import golden from '../../golden/text-to-image.json' with { type: 'json' }
import { tiny } from '../../golden/tiny.ts'
import { distance, unpack } from '../../golden/unpack.ts'
import { chooseProvider } from '../../onnx/provider.ts'
import { loadCheckpoint, planFor } from '../checkpoint.ts'
import { loadTokenizer } from '../conditioners/tokenizer.ts'
import type { Drawing } from '../drawing.ts'
import type { Plan, Row } from '../plan.ts'

const checkpoint = await loadCheckpoint(tiny, await chooseProvider('cpu', 1), { milliseconds: 0 })

/** Samplers are no more than strings in JSON. */
const drawn = golden.drawn.map(({ request: { sampler, ...rest }, ...picture }) => ({
	request: {
		task: 'text-to-image',
		...rest,
		guidance_rescale: 0,
		strength: 1,
		sampler: sampler as SamplerName | null
	} satisfies Drawing & { seed: number },
	...picture
}))

describe.each(drawn)(
	"$request.prompt, $request.sampler, $request.width × $request.height gives what diffusers' StableDiffusionPipeline gives",
	({ request, latent, pixels }) => {
		test('latent and pixels', async () => {
			const plan = await planFor(checkpoint, request)
			const row = plan.start(request.seed)
			await develop(plan, row)
			expect(row.x.dims).toEqual([4, request.height / 2, request.width / 2])
			expect(distance(row.x.data, unpack(latent))).toBeLessThan(2e-5)

			const picture = await plan.finish(row)
			expect(picture.dims).toEqual([3, request.height, request.width])
			const stride = Math.floor((request.width * request.height) / 32)
			const seen = picture.data.filter((_, i) => i % stride === 0)
			expect(distance(seen, unpack(pixels))).toBeLessThan(2e-5)
		})
	}
)

test('every sampler draws another picture', () => {
	expect(new Set(drawn.slice(6).map(({ latent }) => latent)).size).toBe(SamplerName.options.length)
})

test.each(Object.entries(golden.tokenIds))('tokens of "%s"', async (text, ids) => {
	const tokenize = await loadTokenizer(path.join(tiny, 'tokenizer'))
	expect(tokenize(text).ids).toEqual(ids)
})

test('a plan tells which end of its texts the model does not read', async () => {
	const [{ request }] = drawn as [(typeof drawn)[number]]
	expect((await planFor(checkpoint, request)).warnings).toEqual([])
	const long = { ...request, guidance: 3, prompt: `${'red cube '.repeat(100)}and a small cone` }
	const { warnings } = await planFor(checkpoint, { ...long, negative_prompt: long.prompt })
	expect(warnings).toMatchObject([
		{ code: 'prompt-truncated', detail: expect.stringMatching(/^The prompt .*and a small cone$/) },
		{ code: 'prompt-truncated', detail: expect.stringMatching(/^The negative prompt .*and a small cone$/) }
	])
})

test('a row that was stored and restored goes on as if nothing had happened', async () => {
	const [{ request }] = drawn as [(typeof drawn)[number]]
	const plan = await planFor(checkpoint, request)
	const row = plan.start(request.seed)
	await develop(plan, row, 3)
	const { x, k, history } = structuredClone({ x: row.x, k: row.k, history: row.history })
	await develop(plan, row)

	const again = await planFor(checkpoint, request)
	const restored = Object.assign(again.start(request.seed), { x, k, history })
	await develop(again, restored)
	expect(restored.x.data).toEqual(row.x.data)
})

async function develop(plan: Plan, row: Row, until = plan.evaluations): Promise<void> {
	while (row.k < until) {
		plan.advance(row, await plan.denoiser.predict(plan.evaluate(row)))
	}
}
