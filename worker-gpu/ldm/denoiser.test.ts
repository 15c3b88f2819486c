import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { ROWS } from '../onnx/branches.ts'
import { loadPart, type Part } from '../onnx/part.ts'
import { chooseProvider } from '../onnx/provider.ts'
import { type Evaluation, unet } from './denoiser.ts'
import { generator } from './noise.ts'

test("guidance's branches ask of one latent, and are answered as if they asked of two", async () => {
	const provider = await chooseProvider('cpu', 1)
	const part = await loadPart(path.join(import.meta.dirname, '../golden/tiny/unet'), provider, { milliseconds: 0 })
	let feeds: Parameters<Part['run']>[0] = {}
	const watched: Part = {
		...part,
		run(given, outputs) {
			feeds = given
			return part.run(given, outputs)
		}
	}
	const { predict } = await unet(watched, provider.invariantFrom)
	const noise = generator(1)
	const latents = [1, 2, 3].map(() => noise.normal([4, 8, 8]))
	const ask = (latent: number, t: number): Evaluation => ({
		x: latents[latent]!,
		t,
		cond: { encoder_hidden_states: noise.normal([5, 16]) }
	})
	// Two guided pictures, one without guidance, and one latent at two timesteps.
	const asked = [ask(0, 9), ask(0, 9), ask(1, 9), ask(1, 9), ask(2, 5), ask(2, 4)]
	const answers = await predict(asked)
	expect(feeds.sample!.dims).toEqual([4, 4, 8, 8])
	expect(feeds.timestep!.data).toEqual([9, 9, 5, 4])
	expect(feeds[ROWS]!.data).toEqual([0, 0, 1, 1, 2, 3])
	const apart = asked.map((evaluation) => ({ ...evaluation, x: { ...evaluation.x } }))
	expect(await predict(apart)).toEqual(answers)
	expect(feeds.sample!.dims).toEqual([6, 4, 8, 8])
	// Alone, it is padded to as many as its bits want.
	expect(await predict(asked.slice(0, 2))).toEqual(answers.slice(0, 2))
	expect(feeds.sample!.dims).toEqual([2, 4, 8, 8])
	await part.release()
})

test('a latent alone is answered with the bits that it has in company, also where threads share what is convolved', async () => {
	const provider = await chooseProvider('cpu', 8)
	// Without the kernels that some processors have for blocks of channels.
	const sessionOptions = { ...provider.sessionOptions, graphOptimizationLevel: 'extended' as const }
	const folder = path.join(import.meta.dirname, '../models/scenes/unet')
	const part = await loadPart(folder, { ...provider, sessionOptions }, { milliseconds: 0 })
	const { predict } = await unet(part, provider.invariantFrom)
	const noise = generator(1)
	const [, , width] = part.inputs.get('encoder_hidden_states')!.dims as [string, string, number]
	const asked = [981, 500, 20].map((t) => ({
		x: noise.normal([4, 16, 16]),
		t,
		cond: { encoder_hidden_states: noise.normal([5, width]) }
	}))
	const together = await predict(asked)
	for (const [i, evaluation] of asked.entries()) {
		expect(await predict([evaluation])).toEqual([together[i]])
	}
	await part.release()
})

test('a U-Net that is to be told more than it is given is refused with what it is given', async () => {
	const folder = path.join(import.meta.dirname, '../golden/stable-diffusion/unet-upscaler')
	const part = await loadPart(folder, await chooseProvider('cpu', 1), { milliseconds: 0 })
	const { predict } = await unet(part, 1)
	const noise = generator(1)
	const asked = { x: noise.normal([7, 8, 8]), t: 9, cond: { encoder_hidden_states: noise.normal([5, 8]) } }
	expect(part.inputs.has(ROWS)).toBe(true)
	await expect(predict([asked])).rejects.toThrow(
		'expected a graph with the inputs sample, timestep, encoder_hidden_states, got one more: class_labels'
	)
	await part.release()
})

test.each([
	['tiny/unet', 8, /expected timestep_cond among the graph's inputs, got sample, timestep, encoder_hidden_states$/],
	['stable-diffusion/unet-lcm', 16, /config.json: time_cond_proj_dim: expected 8, as the graph has it, got 16$/],
	['stable-diffusion/unet-lcm', 1e9, /config.json: .*time_cond_proj_dim/]
])('%s is refused where its config says that it is told the guidance as %i numbers', async (name, numbers, message) => {
	const whole = await loadPart(path.join(import.meta.dirname, '../golden', name), await chooseProvider('cpu', 1), {
		milliseconds: 0
	})
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await writeFile(path.join(folder, 'config.json'), JSON.stringify({ in_channels: 4, time_cond_proj_dim: numbers }))
	await expect(unet({ ...whole, folder }, 1)).rejects.toThrow(message)
	await Promise.all([rm(folder, { recursive: true }), whole.release()])
})

test('a U-Net that answers a variance too is refused for that', async () => {
	const whole = await loadPart(path.join(import.meta.dirname, '../golden/tiny/unet'), await chooseProvider('cpu', 1), {
		milliseconds: 0
	})
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await writeFile(path.join(folder, 'config.json'), '{"in_channels":4,"out_channels":8}')
	const answers = { type: 'float32', dims: ['batch', 8, 'height', 'width'] }
	await expect(unet({ ...whole, folder, outputs: new Map([['out_sample', answers]]) }, 1)).rejects.toThrow(
		`${folder}/config.json: out_channels: expected at most in_channels, 4, got 8: for a variance that is answered too there is no sampler`
	)
	await Promise.all([rm(folder, { recursive: true }), whole.release()])
})
