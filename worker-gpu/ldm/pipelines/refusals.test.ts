import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { drawingOf, type Golden, open } from '../../golden/pipelines.ts'
import { planFor } from '../checkpoint.ts'
import type { Drawing } from '../drawing.ts'

const file = path.join(import.meta.dirname, '../../golden/stable-diffusion.json')
const [golden, flows, flux] = ['stable-diffusion', 'stable-diffusion-3', 'flux'].map(
	(name) => JSON.parse(readFileSync(path.join(path.dirname(file), `${name}.json`), 'utf8')) as Golden
) as [Golden, Golden, Golden]

/** A plan for the first drawing of that model and task, but for what is changed. */
async function plan(name: string, task: Drawing['task'], change: Partial<Drawing>) {
	const { models, drawn } = [golden, flows, flux].find(({ models }) => models[name])!
	const { request } = drawn.find((drawn) => drawn.model === name && drawn.request.task === task)!
	return planFor(await open(models[name]!), { ...drawingOf(request), ...change })
}

const image = (height: number, width: number) => ({ data: new Float32Array(3 * height * width), dims: [3, height, width] })

test.each([
	['sd', 'text-to-image', { width: 36 }, 'width: expected a multiple of 8, got 36'],
	['sd', 'text-to-image', { height: 0 }, 'height: expected a multiple of 8, got 0'],
	[
		'sd',
		'image-to-image',
		{ strength: 0.1 },
		'strength: expected at least 0.16666666666666666, which leaves one of 6 steps, got 0.1'
	],
	...[0, 1.5, 1001].map(
		(steps) =>
			['sd', 'text-to-image', { sampler: 'dpm++-2m-karras', steps }, 'steps: expected an integer from 1 to 1000, got '] as const
	),
	['sd', 'image-to-image', { strength: 1.5 }, 'strength: expected a number from 0 to 1, got 1.5'],
	['sd', 'image-to-image', { strength: Number.NaN }, 'strength: expected a number from 0 to 1, got NaN'],
	['sd', 'image-to-image', { image: image(32, 24) }, 'image: expected one of [3, 32, 32], got [3, 32, 24]'],
	['sd', 'text-to-image', { control_image: image(32, 32) }, 'control_image: expected none, for the U-Net has no ControlNet'],
	['inpainting', 'inpainting', { strength: 0 }, 'strength: expected at least'],
	['inpainting', 'inpainting', { mask: image(32, 32) }, 'mask: expected one of [1, 32, 32], got [3, 32, 32]'],
	['lcm', 'text-to-image', { sampler: 'ddim' }, 'sampler: expected lcm, which the model was distilled for, or null, got ddim'],
	['lcm', 'image-to-image', { steps: 30, strength: 0.5 }, 'strength: expected 0.6 to 1, for 30 steps out of 50, got 0.5'],
	['lcm', 'image-to-image', { steps: 51 }, 'steps: expected an integer from 1 to 50, got 51'],
	['upscaler', 'super-resolution', { image: image(8, 16) }, 'image: expected one of 8 × 8, 0.25 of the picture'],
	['pix2pix', 'image-to-image', { image_guidance: 0.9 }, 'image_guidance: expected a number from 1 on, got 0.9'],
	['control', 'text-to-image', { control_scale: -1 }, 'control_scale: expected a number from 0 on, got -1'],
	['control', 'text-to-image', { control_start: 0.5, control_end: 0.5 }, 'expected 0 ≤ start < end ≤ 1, got 0.5 and 0.5'],
	['upscaler', 'super-resolution', { noise_level: 40 }, 'noise_level: expected an integer from 0 to 39, got 40'],
	['upscaler', 'super-resolution', { noise_level: 0.5 }, 'noise_level: expected an integer from 0 to 39, got 0.5'],
	['sd3', 'text-to-image', { width: 36 }, 'width: expected a multiple of 8, got 36'],
	['sd3', 'text-to-image', { height: 72 }, 'height: expected at most 64, 8 patches, got 72'],
	['sd3', 'text-to-image', { sampler: 'unipc' }, 'sampler: expected euler'],
	['sd3', 'image-to-image', { strength: 0 }, 'strength: expected at least'],
	['flux-dev', 'text-to-image', { height: 36 }, 'height: expected a multiple of 8, got 36'],
	['flux-schnell', 'image-to-image', { strength: 0 }, 'strength: expected at least']
] as const)('%s, %s: %o is refused', async (name, task, change, message) => {
	const refused = expect(plan(name, task, change)).rejects
	await refused.toThrow(RangeError)
	await refused.toThrow(message)
})

test('Stable Diffusion whose PNDM begins with Runge–Kutta steps does so, but in inpainting, as in the reference', async () => {
	const model = { ...golden.models.sd!, scheduler: { _class_name: 'PNDMScheduler' } }
	const { request } = golden.drawn.find((drawn) => drawn.model === 'sd' && drawn.request.task === 'inpainting')!
	const checkpoint = await open(model)
	const evaluations = async (task: Drawing['task']) => {
		const drawing = { ...drawingOf(request), task, steps: 10, strength: 0.5, sampler: null }
		return (await planFor(checkpoint, drawing)).evaluations
	}
	expect(await evaluations('text-to-image')).toBe(19)
	expect(await evaluations('image-to-image')).toBe(14)
	expect(await evaluations('inpainting')).toBe(6)
})

test('a U-Net for inpainting can do that alone, and not without an encoder', async () => {
	const { vae_encoder, ...parts } = golden.models.inpainting!.parts
	expect(vae_encoder).toBeDefined()
	await expect(open({ ...golden.models.inpainting!, parts })).rejects.toThrow('expected a vae_encoder')
})

test('without an encoder a model draws from text alone', async () => {
	const { vae_encoder: _, ...parts } = golden.models.sd!.parts
	expect(Object.keys(await open({ ...golden.models.sd!, parts }))).toEqual(['text-to-image'])
})

test('an upscaler’s U-Net is none of Stable Diffusion’s', async () => {
	const parts = { ...golden.models.sd!.parts, unet: golden.models.upscaler!.parts.unet! }
	await expect(open({ ...golden.models.sd!, parts })).rejects.toThrow('in_channels: expected 4, or 9 for inpainting, got 7')
})

test('Stable Diffusion 3 whose encoders are wider than its transformer takes, or its T5 narrower, and one of another sampler, are refused', async () => {
	const config = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const { parts } = flows.models.sd3!
	await cp(path.join(path.dirname(file), parts.transformer!), config, { recursive: true })
	const settings = JSON.parse(readFileSync(path.join(config, 'config.json'), 'utf8'))
	await writeFile(path.join(config, 'config.json'), JSON.stringify({ ...settings, joint_attention_dim: 11 }))
	const narrow = await open({ ...flows.models.sd3!, parts: { ...parts, transformer: config } })
	const { request } = flows.drawn.find(({ model }) => model === 'sd3')!
	await expect(planFor(narrow, drawingOf(request))).rejects.toThrow('expected hidden states that are 11 wide at most')
	await rm(config, { recursive: true })
	const other = { ...flows.models['sd3-t5']!.parts, text_encoder_3: flux.models['flux-dev']!.parts.text_encoder_2! }
	await expect(planFor(await open({ ...flows.models['sd3-t5']!, parts: other }), drawingOf(request))).rejects.toThrow(
		'text_encoder_3: expected hidden states that are 16 wide, as joint_attention_dim says, got 6'
	)
	await expect(open({ ...flows.models.sd3!, scheduler: { _class_name: 'EulerDiscreteScheduler' } })).rejects.toThrow(
		'scheduler_config.json: ✖ expected FlowMatchEulerDiscreteScheduler, got EulerDiscreteScheduler'
	)
})

test.each([
	[{ in_channels: 384, out_channels: 64 }, 'out_channels: expected 384, as in_channels, or null, got 64'],
	[{ in_channels: 32 }, 'in_channels: expected 16, as the graph has it, got 8'],
	[{ guidance_embeds: true }, "expected guidance among the graph's inputs"]
])("FLUX whose transformer's config says %o is refused", async (change, message) => {
	const transformer = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const { parts } = flux.models['flux-schnell']!
	await cp(path.join(path.dirname(file), parts.transformer!), transformer, { recursive: true })
	const settings = JSON.parse(readFileSync(path.join(transformer, 'config.json'), 'utf8'))
	await writeFile(path.join(transformer, 'config.json'), JSON.stringify({ ...settings, ...change }))
	await expect(open({ ...flux.models['flux-schnell']!, parts: { ...parts, transformer } })).rejects.toThrow(message)
	await rm(transformer, { recursive: true })
})

test("a transformer of Stable Diffusion 3's is none of FLUX's", async () => {
	const parts = { ...flux.models['flux-dev']!.parts, transformer: flows.models.sd3!.parts.transformer! }
	await expect(open({ ...flux.models['flux-dev']!, parts })).rejects.toThrow("expected img_ids among the graph's inputs")
})

test('SDXL does not decode in half precision what overflows in it', async () => {
	const parts = { ...golden.models.xl!.parts, vae_decoder: golden.models['sd-fp16']!.parts.vae_decoder! }
	await expect(open({ ...golden.models.xl!, parts })).rejects.toThrow('expected a graph in float32, as force_upcast says')
})

test.each([
	['xl', { requires_aesthetics_score: true }, 'expected false, as a U-Net has it that is told 6 numbers in time_ids, got true'],
	['refiner', {}, 'expected true, as a U-Net has it that is told 5 numbers in time_ids, got false']
])('%s whose index says %o is refused, for its U-Net is told something else', async (name, index, message) => {
	const { text_encoder, tokenizer, ...parts } = { ...golden.models.xl!.parts, ...golden.models[name]!.parts }
	const whole = { ...golden.models[name]!, parts: { ...parts, text_encoder: text_encoder!, tokenizer: tokenizer! }, index }
	await expect(open(whole)).rejects.toThrow(`model_index.json: requires_aesthetics_score: ${message}`)
})

test.each([
	[8, 'expected 12, as the first tokenizer has it, got 8'],
	[20, 'expected at most 12, max_position_embeddings of text_encoder_2, got 20']
])('SDXL with texts of 12 tokens for one encoder and %i for the other is refused', async (model_max_length, message) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const { parts } = golden.models.xl!
	await cp(path.join(path.dirname(file), parts.tokenizer_2!), folder, { recursive: true })
	const config = path.join(folder, 'tokenizer_config.json')
	await writeFile(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), model_max_length }))
	await expect(open({ ...golden.models.xl!, parts: { ...parts, tokenizer_2: folder } })).rejects.toThrow(
		`tokenizer_2/tokenizer_config.json: model_max_length: ${message}`
	)
	await rm(folder, { recursive: true })
})

test.each([
	[
		{ latents_mean: [0, 0.1, 0.2], latents_std: [1, 1, 1, 1] },
		'latents_mean: expected 4 numbers, one for each channel of the latent, got 3'
	],
	[
		{ latents_mean: [0, 0, 0, 0], latents_std: [1, 2, 3, 4, 5] },
		'latents_std: expected 4 numbers, one for each channel of the latent, got 5'
	]
])('a first stage whose latents have another number of channels is refused: %o', async (change, message) => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const { parts } = golden.models.xl!
	await cp(path.join(path.dirname(file), parts.vae_decoder!), folder, { recursive: true })
	const config = path.join(folder, 'config.json')
	await writeFile(config, JSON.stringify({ ...JSON.parse(readFileSync(config, 'utf8')), ...change }))
	await expect(open({ ...golden.models.xl!, parts: { ...parts, vae_decoder: folder } })).rejects.toThrow(
		`vae_decoder/config.json: ${message}`
	)
	await rm(folder, { recursive: true })
})

test('SDXL that edits and scales what it is shown, as CosXL, is refused', async () => {
	const index = { is_cosxl_edit: true }
	await expect(open({ ...golden.models['xl-pix2pix']!, index })).rejects.toThrow(
		/model_index.json: .*expected false.* is_cosxl_edit/
	)
})
