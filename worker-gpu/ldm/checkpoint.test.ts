import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ModelError } from '../onnx/model-error.ts'
import type { Part } from '../onnx/part.ts'
import { chooseProvider } from '../onnx/provider.ts'
import { loadCheckpoint, planFor } from './checkpoint.ts'
import type { Drawing } from './drawing.ts'
import { loadSampler } from './samplers/load.ts'

const golden = path.join(import.meta.dirname, '../golden')
const provider = await chooseProvider('cpu', 1)
let models: string
let folder: string

beforeEach(async () => {
	models = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	folder = path.join(models, 'tiny')
	await cp(path.join(golden, 'tiny'), folder, { recursive: true })
})
afterEach(() => rm(models, { recursive: true }))

const loading = () => loadCheckpoint(folder, provider, { milliseconds: 0 })

test('loads the diffusers ONNX layout', async () => {
	expect(Object.keys(await loading())).toEqual(['text-to-image'])
})

describe('parts of another model', () => {
	const parts = ['text_encoder', 'tokenizer', 'unet', 'vae_decoder', 'scheduler']
	let borrower: string
	beforeEach(async () => {
		borrower = path.join(models, 'borrower')
		await mkdir(borrower)
		await cp(path.join(folder, 'model_index.json'), path.join(borrower, 'model_index.json'))
		await borrow(Object.fromEntries(parts.map((part) => [part, 'tiny'])))
	})
	const borrow = (parts: Record<string, string>) => writeFile(path.join(borrower, 'darkroom.json'), JSON.stringify({ parts }))
	const loading = (loaded?: Map<string, Promise<Part>>) => loadCheckpoint(borrower, provider, { milliseconds: 0 }, loaded)

	test('are loaded once for both', async () => {
		const loaded = new Map<string, Promise<Part>>()
		await loadCheckpoint(folder, provider, { milliseconds: 0 }, loaded)
		const of = [...loaded.keys()]
		expect(Object.keys(await loading(loaded))).toEqual(['text-to-image'])
		expect([...loaded.keys()]).toEqual(of)
	})

	test('must be there', async () => {
		await rm(path.join(folder, 'vae_decoder'), { recursive: true })
		await expect(loading()).rejects.toThrow(
			/borrower\/darkroom.json: parts.vae_decoder: expected .*tiny\/vae_decoder, found nothing/
		)
	})

	test('are not beside its own', async () => {
		await mkdir(path.join(borrower, 'unet'))
		await expect(loading()).rejects.toThrow('parts.unet: expected no unet beside it, which the model has of its own')
	})

	test.each([{ unet: '../..' }, { unet: '' }, { '../unet': 'tiny' }])('never lie elsewhere: %j', async (parts) => {
		await borrow(parts as Record<string, string>)
		await expect(loading()).rejects.toBeInstanceOf(ModelError)
	})
})

test.each(['FluxControlPipeline', 'FluxFillPipeline', 'FluxKontextPipeline', 'FluxPriorReduxPipeline'])(
	'refuses a pipeline that it does not know, and tells those that it does: %s',
	async (name) => {
		await writeFile(path.join(folder, 'model_index.json'), JSON.stringify({ _class_name: name }))
		await expect(loading()).rejects.toThrow(
			`model_index.json: _class_name: expected a pipeline that Darkroom draws with, got ${name}. It knows StableDiffusionPipeline, `
		)
	}
)

test('refuses a task that the model cannot do, and tells those that it can', async () => {
	const checkpoint = await loading()
	await expect(planFor(checkpoint, { task: 'inpainting' } as Drawing)).rejects.toThrow(
		'task: expected one of text-to-image, got inpainting'
	)
})

test('refuses a U-Net with one timestep for the whole batch, and says what to do', async () => {
	await cp(path.join(golden, 'scalar-timestep'), folder, { recursive: true })
	await expect(loading()).rejects.toThrow(
		/unet: expected the input timestep as one float for each row .* got float32 \[\]: import the model/
	)
})

test('names a fact beside the model that cannot be one', async () => {
	await writeFile(path.join(folder, 'darkroom.json'), '{"invariantFrom":0}')
	await expect(loading()).rejects.toThrow(/darkroom.json: .*expected number to be >=1.*invariantFrom/)
})

test('refuses a scheduler that there is no sampler for', async () => {
	await writeFile(path.join(folder, 'scheduler/scheduler_config.json'), '{"_class_name":"SASolverScheduler"}')
	await expect(loading()).rejects.toThrow(/expected one of .*DDIMScheduler.*, got SASolverScheduler/)
})

test('reads infinity, which JSON does not have, as Python writes it', async () => {
	const saved = '{"_class_name":"DPMSolverMultistepScheduler","lambda_min_clipped":-Infinity,"note":"NaN Infinity \\" NaN"}'
	await writeFile(path.join(folder, 'scheduler/scheduler_config.json'), saved)
	const samplerFor = await loadSampler(path.join(folder, 'scheduler'))
	expect(samplerFor({ steps: 4 }).timesteps).toHaveLength(4)
})

test('reads JSON that begins with a byte order mark, as Windows writes it', async () => {
	const file = path.join(folder, 'scheduler/scheduler_config.json')
	await writeFile(file, `\ufeff${(await readFile(file, 'utf8')).replaceAll('\n', '\r\n')}`)
	expect((await loadSampler(path.join(folder, 'scheduler')))({ steps: 4 }).timesteps).toHaveLength(4)
})

test('refuses settings that would change the picture and are not implemented', async () => {
	await writeFile(
		path.join(folder, 'scheduler/scheduler_config.json'),
		'{"_class_name":"DPMSolverMultistepScheduler","use_flow_sigmas":true}'
	)
	await expect(loading()).rejects.toThrow(/scheduler_config.json: .*use_flow_sigmas/)
})

test.each([
	'model_index.json',
	'unet/model.onnx',
	'unet/config.json',
	'tokenizer/tokenizer.json',
	'scheduler/scheduler_config.json'
])('names the missing %s', async (file) => {
	await rm(path.join(folder, file))
	const error = await loading().catch((error) => error)
	expect(error).toBeInstanceOf(ModelError)
	expect(error.message).toContain(path.join(folder, file))
})

test('names a graph that does not load', async () => {
	await writeFile(path.join(folder, 'vae_decoder/model.onnx'), 'not an ONNX graph')
	await expect(loading()).rejects.toThrow(`${path.join(folder, 'vae_decoder/model.onnx')}: expected an ONNX graph that loads`)
})
