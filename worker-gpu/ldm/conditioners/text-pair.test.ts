import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { drawingOf, type Golden, open } from '../../golden/pipelines.ts'
import { planFor } from '../checkpoint.ts'

const file = path.join(import.meta.dirname, '../../golden/stable-diffusion.json')
const { models, drawn } = JSON.parse(readFileSync(file, 'utf8')) as Golden

test('what stands for no text is as large as a text is, whatever the config of its encoder says', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const { parts } = models.xl!
	await cp(path.join(path.dirname(file), parts.text_encoder_2!), folder, { recursive: true })
	await writeFile(path.join(folder, 'config.json'), '{ "hidden_size": 4 }')
	const { request } = drawn.find(({ model }) => model === 'xl')!
	const checkpoint = await open({ ...models.xl!, parts: { ...parts, text_encoder_2: folder } })
	const plan = await planFor(checkpoint, { ...drawingOf(request), guidance: 3, negative_prompt: null })
	const [without, told] = plan.evaluate(plan.start(0)).map(({ cond }) => cond)
	for (const name of ['encoder_hidden_states', 'text_embeds']) {
		expect(without![name]!.dims).toEqual(told![name]!.dims)
		expect(new Set(without![name]!.data)).toEqual(new Set([0]))
		expect(new Set(told![name]!.data).size).toBeGreaterThan(1)
	}
	await rm(folder, { recursive: true })
})
