import { describe, expect, test } from 'vitest'
import { Model } from '../catalog.ts'
import { GenerationRequest, ResolvedRequest } from './generation.ts'
import { requestFor, taskOf } from './request-for.ts'

const model = Model.parse({
	id: 'model',
	name: 'Model',
	description: '',
	tasks: { 'text-to-image': {} },
	size: { default: 64, min: 64, max: 64, multiple: 64 },
	samplers: ['ddim', 'heun', 'euler'],
	steps: { default: 20, min: 1, max: 50 },
	guidance: { default: 3, min: 0, max: 20 },
	count: { default: 1, max: 1 },
	prompt: { max: 100, negative: true }
})
const request = (fields: object) => requestFor(model).safeParse({ model: 'model', prompt: 'a cube', seed: 1, ...fields })

describe('sampler', () => {
	test("is the model's own by default, and the resolved request says so in a form that can be posted again", () => {
		const { data } = request({})
		expect(data).toMatchObject({ sampler: null, eta: null })
		expect(request(data!).data).toEqual(data)
		expect(ResolvedRequest.parse(data)).toEqual(data)
	})

	test('is kept where it is named, with its eta', () => {
		const { data } = request({ sampler: 'ddim', eta: 0.5 })
		expect(data).toMatchObject({ sampler: 'ddim', eta: 0.5 })
		expect(request(data!).data).toEqual(data)
	})

	test('that the model does not allow is refused with a list of those that it does', () => {
		const { error } = request({ sampler: 'lcm' })
		expect(error!.issues).toMatchObject([{ code: 'invalid_value', path: ['sampler'], values: ['ddim', 'heun', 'euler'] }])
	})

	test('of a model that has none but its own is null', () => {
		const alone = requestFor({ ...model, samplers: [] })
		const asked = { model: 'model', prompt: 'a cube', seed: 1 }
		expect(alone.safeParse(asked).data).toMatchObject({ sampler: null })
		expect(alone.safeParse({ ...asked, sampler: 'ddim' }).error!.issues).toMatchObject([{ path: ['sampler'], expected: 'null' }])
	})

	test.each([{ eta: 0.5 }, { eta: 0, sampler: 'euler' }])('with an eta that it does not have is refused: %o', (fields) => {
		expect(request(fields).error!.issues).toMatchObject([{ path: ['eta'], message: expect.stringContaining('"ddim"') }])
	})

	test('of two evaluations a step takes half the steps', () => {
		expect(request({ sampler: 'heun', steps: 25 }).success).toBe(true)
		expect(request({ sampler: 'heun', steps: 26 }).error!.issues).toMatchObject([
			{ path: ['steps'], message: 'at most 25 with "heun", each of whose steps is two' }
		])
		expect(request({ sampler: 'euler', steps: 50 }).success).toBe(true)
	})
})

test("a resolved request from before there were samplers is read as one for the model's own", () => {
	const { sampler: _, eta: __, ...old } = request({}).data!
	expect(ResolvedRequest.parse(old)).toEqual(old)
})

const upload = 'upl_00000000000000000000000000'
const able = Model.parse({
	...model,
	size: { default: 256, min: 128, max: 512, multiple: 64 },
	tasks: {
		'text-to-image': {},
		'image-to-image': { strength: 0.8 },
		inpainting: { strength: 1 },
		'class-conditional': { classes: ['tench', 'goldfish'] },
		'layout-to-image': { labels: ['person', 'bicycle'], max: 2 },
		'semantic-synthesis': { labels: [{ name: 'sky', color: '#00aaff' }] }
	}
})
const upscaler = Model.parse({
	...model,
	size: { default: 512, min: 256, max: 512, multiple: 128 },
	tasks: { 'super-resolution': { factor: 4, noise_level: { default: 20, max: 350 } } },
	prompt: { max: 0, negative: false }
})
const ask = (of: Model, fields: Record<string, unknown>, image?: { width: number; height: number }) =>
	requestFor(of, { task: taskOf(of, fields), image }).safeParse({ model: 'model', seed: 1, ...fields })

describe('task', () => {
	test.each([
		[{ prompt: 'x' }, 'text-to-image'],
		[{ image: upload }, 'image-to-image'],
		[{ image: upload, mask: upload }, 'inpainting'],
		[{ semantic_map: upload }, 'semantic-synthesis'],
		[{ layout: [{ label: 'bicycle', box: [0, 0, 0.5, 1] }] }, 'layout-to-image'],
		[{ class_label: 'goldfish' }, 'class-conditional']
	])('follows from the fields %o', (fields, task) => {
		const { data } = ask(able, fields)
		expect(data).toMatchObject({ task })
		expect(ask(able, data!).data).toEqual(data)
		expect(ResolvedRequest.parse(data)).toEqual(data)
		expect(GenerationRequest.parse(data)).toEqual(data)
	})

	test('that begins with noise alone has no strength', () => {
		const instructed = { ...able, tasks: { 'image-to-image': {} } }
		expect(ask(instructed, { image: upload, prompt: 'x' }).data).not.toHaveProperty('strength')
		const { error } = ask(instructed, { image: upload, prompt: 'x', strength: 0.5 })
		expect(error!.issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['strength'] }])
	})

	test('is guided by its image too where the model says so', () => {
		const instructed = { ...able, tasks: { 'image-to-image': { image_guidance: { default: 1.5, max: 20 } } } }
		const said = (fields: object) => ask(instructed, { image: upload, prompt: 'x', ...fields })
		expect(said({}).data).toMatchObject({ image_guidance: 1.5 })
		expect(ResolvedRequest.parse(said({ image_guidance: 1 }).data)).toMatchObject({ image_guidance: 1 })
		for (const image_guidance of [0.99, 20.5, '2']) {
			expect(said({ image_guidance }).error!.issues).toMatchObject([{ path: ['image_guidance'] }])
		}
		const { error } = ask(able, { image: upload, prompt: 'x', image_guidance: 2 })
		expect(error!.issues).toMatchObject([{ code: 'unrecognized_keys', keys: ['image_guidance'] }])
	})

	test('is steered, where the model says so, by a map that may be left out, and then has no scale', () => {
		const steered = { ...able, control: { default: 0.8, max: 2 } }
		for (const fields of [{ prompt: 'x' }, { image: upload }, { image: upload, mask: upload }]) {
			const said = (more: object) => ask(steered, { ...fields, ...more })
			const { data } = said({ control_image: upload })
			expect(data).toMatchObject({ control_image: upload, control_scale: 0.8, control_start: 0, control_end: 1 })
			expect(ask(steered, data!).data).toEqual(data)
			expect(ResolvedRequest.parse(data)).toEqual(data)
			expect(said({ control_image: upload, control_scale: 0 }).data).toMatchObject({ control_scale: 0 })
			for (const field of ['control_scale', 'control_start', 'control_end']) {
				expect(said({}).data).not.toHaveProperty(field)
				expect(said({ [field]: 0.5 }).error!.issues).toMatchObject([
					{ path: [field], message: `none: there is no control_image, whose ${field.slice(8)} it is` }
				])
			}
			for (const control_scale of [-0.1, 2.1, '1']) {
				expect(said({ control_image: upload, control_scale }).error!.issues).toMatchObject([{ path: ['control_scale'] }])
			}
			expect(ask(able, { ...fields, control_image: upload }).error!.issues).toMatchObject([
				{ code: 'unrecognized_keys', keys: ['control_image'] }
			])
		}
		const wide = { width: 512, height: 256 }
		expect(ask(steered, { prompt: 'x', control_image: upload }, wide).data).toMatchObject(wide)
	})

	test.each([
		[{ control_end: 0.5 }, undefined],
		[{ control_start: 0.5 }, undefined],
		[{ control_start: 0.2, control_end: 0.3 }, undefined],
		[{ control_start: 1 }, ['control_start', 'less than control_end, which is 1']],
		[{ control_end: 0 }, ['control_end', 'more than control_start, which is 0']],
		[{ control_start: 0.5, control_end: 0.5 }, ['control_end', 'more than control_start, which is 0.5']],
		[{ control_start: -0.1 }, ['control_start', expect.any(String)]],
		[{ control_end: 1.1 }, ['control_end', expect.any(String)]]
	])('is steered on a part of its way: %o', (fields, refused) => {
		const steered = { ...able, control: { default: 1, max: 2 } }
		const { data, error } = ask(steered, { prompt: 'x', control_image: upload, ...fields })
		expect(error?.issues.map(({ path, message }) => [path[0], message])).toEqual(refused && [refused])
		expect(data).toEqual(refused ? undefined : expect.objectContaining(fields))
	})

	test('is super-resolution or unconditional where the model can do nothing else with the fields', () => {
		expect(ask(upscaler, { image: upload }).data).toMatchObject({ task: 'super-resolution', noise_level: 20, prompt: '' })
		const free = Model.parse({ ...model, tasks: { unconditional: {} }, prompt: { max: 0, negative: false } })
		expect(ask(free, {}).data).toMatchObject({ task: 'unconditional', prompt: '' })
	})

	test('that the model cannot do is refused with a list of those that it can, named or not', () => {
		expect(ask(model, { prompt: 'x', task: 'inpainting' }).error!.issues).toMatchObject([
			{ code: 'invalid_value', path: ['task'], values: ['text-to-image'] }
		])
		expect(ask(model, { prompt: 'x', image: upload }).error!.issues).toMatchObject([
			{ code: 'unrecognized_keys', keys: ['image'], message: expect.stringContaining('which can do text-to-image') }
		])
	})

	test('takes the fields of its own alone, and needs them', () => {
		expect(ask(able, { task: 'image-to-image', image: upload, class_label: 0 }).error!.issues).toMatchObject([
			{ code: 'unrecognized_keys', keys: ['class_label'] }
		])
		expect(ask(able, { task: 'inpainting', image: upload }).error!.issues).toMatchObject([{ path: ['mask'] }])
		expect(ask(able, { mask: upload }).error!.issues).toMatchObject([{ path: ['image'] }])
		expect(ask(able, { prompt: 'x', strength: 0.5 }).error!.issues).toMatchObject([{ keys: ['strength'] }])
		expect(ask(upscaler, { image: upload, prompt: 'x' }).error!.issues).toMatchObject([{ path: ['prompt'] }])
		expect(ask(upscaler, { image: upload, negative_prompt: 'x' }).error!.issues).toMatchObject([{ keys: ['negative_prompt'] }])
	})
})

test('classes and labels have names and numbers', () => {
	expect(ask(able, { class_label: 'goldfish' }).data).toMatchObject({ class_label: 1 })
	expect(ask(able, { class_label: 0 }).data).toMatchObject({ class_label: 0 })
	for (const class_label of ['shark', 2, -1, 0.5, 'toString', []]) {
		const message = 'a class of the model by its name, which GET /v1/models tells, or by its number from 0 to 1'
		expect(ask(able, { class_label }).error!.issues).toMatchObject([{ path: ['class_label'], message }])
	}
	const box = [0.1, 0.2, 0.3, 0.4]
	expect(ask(able, { layout: [{ label: 'person', box }] }).data).toMatchObject({ layout: [{ label: 0, box }] })
})

test.each([
	[[{ label: 0, box: [0.5, 0, 0.5, 1] }], ['layout', 0, 'box']],
	[[{ label: 0, box: [0, 0, 1.1, 1] }], ['layout', 0, 'box', 2]],
	[[{ label: 9, box: [0, 0, 1, 1] }], ['layout', 0, 'label']],
	[Array(3).fill({ label: 0, box: [0, 0, 1, 1] }), ['layout']],
	[[], ['layout']]
])('a layout %j is refused at %j', (layout, path) => {
	expect(ask(able, { layout }).error!.issues).toMatchObject([{ path }])
})

describe('size', () => {
	test.each([
		[{ width: 256, height: 192 }, [256, 192]],
		[{ width: 300, height: 200 }, [256, 192]],
		[{ width: 4000, height: 3000 }, [512, 384]],
		[{ width: 64, height: 100 }, [128, 192]],
		[{ width: 1, height: 10_000 }, [128, 512]]
	])('follows the image: %o', (image, [width, height]) => {
		expect(ask(able, { image: upload }, image).data).toMatchObject({ width, height })
	})

	test('is as asked for, whatever the image is', () => {
		const data = { image: upload, width: 128, height: 512 }
		expect(ask(able, data, { width: 300, height: 300 }).data).toMatchObject(data)
	})

	test('is the factor times the image in super-resolution, and nothing else', () => {
		expect(ask(upscaler, { image: upload }, { width: 130, height: 97 }).data).toMatchObject({ width: 512, height: 384 })
		const image = { width: 128, height: 96 }
		expect(ask(upscaler, { image: upload, width: 512, height: 384 }, image).success).toBe(true)
		expect(ask(upscaler, { image: upload, width: 512, height: 512 }, image).error!.issues).toMatchObject([
			{ code: 'invalid_value', path: ['height'], values: [384] }
		])
	})
})

test('a negative prompt that is absent stays different from an empty one', () => {
	expect(request({}).data).toMatchObject({ negative_prompt: null })
	expect(request({ negative_prompt: '' }).data).toMatchObject({ negative_prompt: '' })
})

test('strength leaves at least one step', () => {
	expect(ask(able, { image: upload, strength: 0.1, steps: 10 }).success).toBe(true)
	expect(ask(able, { image: upload, strength: 0.09, steps: 10 }).error!.issues).toMatchObject([{ path: ['strength'] }])
	expect(ask(able, { image: upload, strength: 1.1 }).error!.issues).toMatchObject([{ path: ['strength'] }])
})

test('quality is filled in for formats that lose something, and refused for the one that does not', () => {
	expect(request({}).data).toMatchObject({ output_format: 'png', output_quality: null })
	expect(request({ output_format: 'webp' }).data).toMatchObject({ output_quality: 90 })
	expect(request({ output_format: 'avif', output_quality: 20 }).data).toMatchObject({ output_quality: 20 })
	expect(request({ output_quality: 20 }).error!.issues).toMatchObject([{ path: ['output_quality'] }])
})

describe('a strength of which no steps are left', () => {
	const distilled = Model.parse({
		...model,
		tasks: { 'text-to-image': {}, 'image-to-image': { strength: 0.8, original_steps: 50 } },
		samplers: ['lcm']
	})
	const refusal = (of: Model, fields: object) => ask(of, { image: upload, prompt: 'x', ...fields }).error?.issues

	test.each([
		[1, 0.99, 1],
		[3, 0.3333, 0.3334],
		[25, 0.0399, 0.04],
		[49, 1 / 49, 0.0205]
	])('is refused for %i steps: %f, with one that would do', (steps, strength, least) => {
		const message = `at least ${least}: ${strength} of ${steps} steps is not one`
		expect(refusal(able, { steps, strength })).toMatchObject([{ path: ['strength'], message }])
		expect(refusal(able, { steps, strength: least })).toBeUndefined()
	})

	// The steps of a latent consistency model are spread over as much of the walk that it was distilled from (lcm.ts).
	test.each([
		[4, 0.07, 0.08],
		[29, 0.58, 0.5801],
		[50, 0.99, 1]
	])('is refused for %i steps of a latent consistency model: %f', (steps, strength, least) => {
		const message = `at least ${least}: ${strength} of 50 steps is fewer than ${steps}`
		expect(refusal(distilled, { steps, strength })).toMatchObject([{ path: ['strength'], message }])
		expect(refusal(distilled, { steps, strength: least })).toBeUndefined()
	})

	test('is not what is told of steps that are too many', () => {
		expect(refusal(distilled, { steps: 51, strength: 0.5 })).toMatchObject([{ path: ['steps'] }])
	})
})
