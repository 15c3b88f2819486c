import { describe, expect, test } from 'vitest'
import { Model } from '../catalog.ts'
import { ResolvedRequest, requestFor } from './generation.ts'

const model = Model.parse({
	id: 'model',
	name: 'Model',
	description: '',
	tasks: ['text-to-image'],
	size: { default: 64, min: 64, max: 64, multiple: 64 },
	samplers: ['ddim', 'heun', 'euler'],
	steps: { default: 20, min: 1, max: 50 },
	guidance: { default: 3, min: 0, max: 20 },
	count: { default: 1, max: 1 },
	prompt: { max: 100 }
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

	test.each([{ eta: 0.5 }, { eta: 0, sampler: 'euler' }])('with an eta that it does not have is refused: %o', (fields) => {
		expect(request(fields).error!.issues).toMatchObject([{ path: ['eta'], message: expect.stringContaining('"ddim"') }])
	})

	test('of two evaluations a step takes half the steps', () => {
		expect(request({ sampler: 'heun', steps: 25 }).success).toBe(true)
		expect(request({ sampler: 'heun', steps: 26 }).error!.issues).toMatchObject([{ path: ['steps'], maximum: 25 }])
		expect(request({ sampler: 'euler', steps: 50 }).success).toBe(true)
	})
})

test("a resolved request from before there were samplers is read as one for the model's own", () => {
	const { sampler: _, eta: __, ...old } = request({}).data!
	expect(ResolvedRequest.parse(old)).toEqual(old)
})
