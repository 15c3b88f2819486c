import { readFileSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { drawingOf, type Golden, open } from '../../golden/pipelines.ts'
import { planFor } from '../checkpoint.ts'
import type { Drawing } from '../drawing.ts'

const file = path.join(import.meta.dirname, '../../golden/paper.json')
const { models, drawn } = JSON.parse(readFileSync(file, 'utf8')) as Golden

const box = { label: 0, box: [0, 0, 1, 1] } as const
const map = (label: number) => ({ data: new Float32Array(16 * 16).fill(label), dims: [1, 16, 16] })

const refused: [string, Partial<Drawing>, RegExp][] = [
	['class', { class_label: 11 }, /class_label: expected a whole number below 12 but 11, got 11/],
	['class', { class_label: 1.5 }, /class_label: expected a whole number/],
	['dit', { class_label: 1000 }, /class_label: expected a whole number below 1000, got 1000/],
	['layout', { layout: Array(5).fill(box) }, /layout: expected at most 4 boxes, got 5/],
	['layout', { layout: [box, { ...box, label: 11 }] }, /layout\[1\].label: expected a whole number from 0 to 10, got 11/],
	['layout', { layout: [{ ...box, box: [0.5, 0, 0.5, 1] }] }, /layout\[0\].box: expected 0 ≤ x0 < x1 ≤ 1/],
	['layout', { layout: [{ ...box, box: [0, 0, Number.NaN, 1] }] }, /layout\[0\].box/],
	['layout', { guidance: 2 }, /guidance: expected 1, for the model was never trained without a layout, got 2/],
	['semantic', { width: 16, height: 16, semantic_map: map(11) }, /semantic_map: expected whole numbers from 0 to 10, got 11/],
	['semantic', { width: 16, height: 16, semantic_map: map(0.5) }, /semantic_map: expected whole numbers/],
	['semantic', { width: 24, height: 24, semantic_map: map(0) }, /semantic_map: expected one of \[1, 24, 24\], got \[1, 16, 16\]/],
	['super-resolution', { width: 64 }, /image: expected one of \[3, 32, 16\], got \[3, 32, 32\]/],
	['inpaint', { width: 20, height: 20 }, /expected one of \[3, 20, 20\]/],
	['pixels', { width: 5 }, /width: expected a multiple of 2, got 5/]
]

test.each(refused)('%s refuses %o', async (name, change, message) => {
	const { request } = drawn.find(({ model }) => model === name)!
	const drawing = { ...drawingOf(request), ...change }
	await expect(planFor(await open(models[name]!), drawing)).rejects.toThrow(message)
})

test.each([
	['inpaint', { unet: 'paper/unet-6' }, /unet\/config.json: in_channels: expected 7, .* got 6/],
	['super-resolution', { unet: 'paper/unet-3' }, /in_channels: expected 6, .* got 3/],
	['unconditional-vq', { unet: 'paper/unet-7' }, /in_channels: expected 3, .* got 7/],
	['class', { unet: 'paper/unet-3' }, /expected encoder_hidden_states among the graph's inputs/]
])('%s with %o is not loaded', async (name, parts, message) => {
	const model = models[name]!
	await expect(open({ ...model, parts: { ...model.parts, ...parts } })).rejects.toThrow(message)
})

test('layouts of a billion boxes are refused, for which there is no memory', async () => {
	const folder = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	const { parts } = models.layout!
	await cp(path.join(path.dirname(file), parts.layout_encoder!), folder, { recursive: true })
	const config = { no_object_classes: 11, no_max_objects: 1e9, no_tokens: 64 }
	await writeFile(path.join(folder, 'config.json'), JSON.stringify(config))
	await expect(open({ ...models.layout!, parts: { ...parts, layout_encoder: folder } })).rejects.toThrow(
		/layout_encoder\/config.json: .*no_max_objects/
	)
	await rm(folder, { recursive: true })
})

test('inpainting needs an encoder', async () => {
	const { vqvae_encoder: _, ...parts } = models.inpaint!.parts
	await expect(open({ ...models.inpaint!, parts })).rejects.toThrow(/expected a vqvae_encoder/)
})

// An unhandled rejection, which would end a node's engine, fails the whole run.
test('a model with nothing in it is refused for one thing, and nobody is left to hear of the others', async () => {
	await expect(open({ ...models['unconditional-vq']!, parts: {} })).rejects.toThrow(
		/unet\/model.onnx: expected an ONNX graph|expected a vae_decoder/
	)
	await new Promise(setImmediate)
})
