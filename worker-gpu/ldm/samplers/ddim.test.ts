import { describe, expect, test } from 'vitest'
import golden from '../../golden/ddim.json' with { type: 'json' }
import type { Tensor } from '../../onnx/tensor.ts'
import { DdimConfig, ddim } from './ddim.ts'

const start = Float32Array.from(golden.start)

describe.each(golden.runs)('$steps steps of $config', ({ config, steps, timesteps, x, x0 }) => {
	// The saved config as diffusers writes it: keys of other schedulers and all.
	const sampler = ddim(DdimConfig.parse(config), steps)

	test('stand at the timesteps of diffusers', () => {
		expect(sampler.timesteps).toEqual(timesteps)
	})

	test('lead where diffusers leads', () => {
		let row: { x: Tensor; history: null } = { x: { data: start, dims: [start.length] }, history: sampler.start() }
		let guess = row.x
		sampler.timesteps.forEach((t, k) => {
			// Stands for the network; make.py has the same function.
			const output = { data: sampler.scale(row.x, k).data.map((value) => 0.5 * value + t / 1000), dims: row.x.dims }
			const step = sampler.advance(row, output, k)
			row = step
			guess = step.x0
		})
		expect(distance(row.x.data, x)).toBeLessThan(1e-5)
		expect(distance(guess.data, x0)).toBeLessThan(1e-5)
	})
})

test('advance does not change what it was given', () => {
	const sampler = ddim(DdimConfig.parse({}), 2)
	const x = { data: start.slice(), dims: [start.length] }
	const once = sampler.advance({ x, history: null }, x, 0)
	expect(x.data).toEqual(start)
	expect(sampler.advance({ x, history: null }, x, 0)).toEqual(once)
})

test.each([0, 1.5, 1001])('refuses %s steps', (steps) => {
	expect(() => ddim(DdimConfig.parse({}), steps)).toThrow(`expected an integer from 1 to 1000, got ${steps}`)
})

test('refuses timesteps past the last one of training', () => {
	expect(() => ddim(DdimConfig.parse({ steps_offset: 1 }), 1000)).toThrow('got 1000 of 1000 steps')
})

/** The largest difference, relative to the largest value. */
function distance(got: Float32Array, expected: readonly number[]): number {
	const scale = Math.max(1, ...expected.map(Math.abs))
	return Math.max(...expected.map((value, i) => Math.abs(value - got[i]!))) / scale
}
