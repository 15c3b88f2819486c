import { describe, expect, test } from 'vitest'
import type { SamplerName } from '../../../shared/samplers.ts'
import { distance, unpack, unzip } from '../../golden/unpack.ts'
import { ModelError } from '../../onnx/model-error.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import { generator } from '../noise.ts'
import { flowOf } from './flow-match.ts'
import { samplersOf } from './load.ts'
import { log32 } from './log32.ts'
import type { Sampler } from './sampler.ts'
import { begun, lastPart } from './strength.ts'
import { linspace } from './timesteps.ts'

interface Walked {
	steps: number
	/** Packed, as unpack() takes it. */
	timesteps: string
	x: string
}
interface Begun {
	seed: number
	dims: number[]
}
interface Golden {
	cases: (Begun & { class: string; config: object; eta: number; stepwise: boolean; runs: Run[] })[]
	refused: { class: string; config: object; steps: number }[]
	conversions: (Begun & { json: string; steps: number; runs: (Omit<Walked, 'steps'> & { sampler: SamplerName })[] })[]
	flows: {
		cases: (Begun & { config: object; patches: number; handed: boolean; runs: (Walked & { noised: number })[] })[]
		refused: { config: object; patches: number; steps: number }[]
	}
	/** Steps that are left of all. */
	strengths: { steps: number; strength: number; whole: number; begun: number }[]
	logarithms: { x: string; log: string }
}
interface Run extends Walked {
	prediction_type: string
	timestep_spacing: string
	x0?: string
}

const golden = await unzip<Golden>('samplers.json.gz')
const TOLERANCE = 1e-4

/** Stands for the network; infra/model-kit/reference/samplers.py has the same function. */
const network = ({ data, dims }: Tensor, t: number): Tensor => ({
	data: data.map((x, i) => 0.5 * x + 0.5 * Math.tanh(x + 2 * Math.sin(0.3 * t + i))),
	dims
})

interface Walk {
	/** x before each evaluation, and at the end. */
	states: Tensor[]
	x0: Tensor
}

/** @param late how much later than they are the network is told that timesteps are */
function walk(sampler: Sampler, seed: number, dims: readonly number[], { late = 0, guide = [] as Float32Array[] } = {}): Walk {
	const noise = generator(seed)
	const { data } = noise.normal(dims)
	let x: Tensor = { data: data.map((value) => value * sampler.initialSigma), dims }
	let history = sampler.start()
	let x0 = x
	const states = [x]
	sampler.timesteps.forEach((t, k) => {
		const from = { data: (guide[k] ?? x.data).slice(), dims } // What is given is not left alone.
		;({ x, history, x0 } = sampler.advance({ x: from, history }, network(sampler.scale(from, k), t + late), k, noise))
		states.push(x)
	})
	return { states, x0 }
}

const fromConfig = (className: string, config: object) => samplersOf('test', { _class_name: className, ...config })

describe.each(golden.cases)('$class $config, eta $eta, goes where diffusers goes:', (given) => {
	const { class: className, config, eta, seed, dims, stepwise, runs } = given
	const samplerOf = ({ prediction_type, timestep_spacing, steps }: Run) =>
		fromConfig(className, { ...config, prediction_type, timestep_spacing })({ steps, eta })

	test.each(runs)('$prediction_type, $timestep_spacing, $steps steps', (run) => {
		const sampler = samplerOf(run)
		expect(distance(Float32Array.from(sampler.timesteps), unpack(run.timesteps))).toBeLessThan(1e-6)

		const expected = unpack(run.x)
		const size = dims.reduce((product, dim) => product * dim)
		const guide = stepwise ? sampler.timesteps.map((_, k) => expected.subarray(k * size, (k + 1) * size)) : []
		const { states, x0 } = walk(sampler, seed, dims, { guide })
		for (const [i, { data }] of (stepwise ? states : states.slice(-1)).entries()) {
			expect(distance(data, expected.subarray(i * size, (i + 1) * size))).toBeLessThan(TOLERANCE)
		}
		if (run.x0) {
			expect(distance(x0.data, unpack(run.x0))).toBeLessThan(TOLERANCE)
		}
		// Where all evaluations are next to the picture, as of a single step from t = 0, little depends on t.
		if (!stepwise && sampler.timesteps[0]! > 100) {
			const late = walk(sampler, seed, dims, { late: 1 }).states.at(-1)!
			expect(distance(late.data, expected), 'timesteps that are off by one must show').toBeGreaterThan(50 * TOLERANCE)
		}
	})
})

describe.each(golden.conversions)('the settings of $json', ({ json, steps, seed, dims, runs }) => {
	const samplerFor = samplersOf('test', JSON.parse(json.replace('-Infinity', '-1e999')))
	test.each(runs)('as $sampler reads them', ({ sampler: name, timesteps, x }) => {
		const sampler = samplerFor({ steps, sampler: name })
		expect(distance(Float32Array.from(sampler.timesteps), unpack(timesteps))).toBeLessThan(1e-6)
		expect(distance(walk(sampler, seed, dims).states.at(-1)!.data, unpack(x))).toBeLessThan(TOLERANCE)
	})
})

test.each(golden.refused)('$class $config in $steps steps is refused here too', ({ class: className, config, steps }) => {
	expect(() => fromConfig(className, config)({ steps })).toThrow(/expected/)
})

test.each([
	['DPMSolverMultistepScheduler', { use_flow_sigmas: true }, 'use_flow_sigmas'],
	['DPMSolverMultistepScheduler', { algorithm_type: 'dpmsolver', final_sigmas_type: 'sigma_min' }, 'algorithm_type'],
	['DPMSolverMultistepScheduler', { variance_type: 'learned' }, 'variance_type'],
	['DEISMultistepScheduler', { use_flow_sigmas: true }, 'use_flow_sigmas'],
	['SASolverScheduler', {}, '_class_name']
])('%s %s, which diffusers has and Darkroom has not, is refused by name', (className, config, key) => {
	const loading = () => fromConfig(className, config)
	expect(loading).toThrow(ModelError)
	expect(loading).toThrow(key)
})

test.each([
	['DPMSolverMultistepScheduler', {}, 1000, 'steps: expected so few that each stands at a level of its own, got 1000'],
	[
		'DPMSolverMultistepScheduler',
		{ use_karras_sigmas: true, final_sigmas_type: 'sigma_min', solver_type: 'heun' },
		20,
		'final_sigmas_type: expected zero'
	]
])('%s %o in %i steps, of which the reference draws NaN, is refused by what is wrong', (className, config, steps, message) => {
	expect(() => fromConfig(className, config)({ steps })).toThrow(message)
})

test("Karras' levels are refused, as in the reference, where a model's settings ask for others already", () => {
	const samplerFor = fromConfig('DDIMScheduler', { use_exponential_sigmas: true })
	expect(() => samplerFor({ steps: 5, sampler: 'dpm++-2m-karras' })).toThrow('expected at most one of use_karras_sigmas')
})

const flow = (config: object, handed = false) =>
	flowOf(
		'test',
		{ _class_name: 'FlowMatchEulerDiscreteScheduler', ...config },
		handed ? (steps) => linspace(1, 1 / steps, steps) : undefined
	)

describe.each(golden.flows.cases)(
	'a flow by $config, of $patches patches, handed levels: $handed, goes where diffusers goes:',
	(given) => {
		const { config, patches, handed, seed, dims, runs } = given
		test.each(runs)('$steps steps', ({ steps, timesteps, x, noised }) => {
			const sampler = flow(config, handed)({ steps, sampler: null }, patches)
			expect(sampler.timesteps).toEqual([...unpack(timesteps)])
			const { states, x0 } = walk(sampler, seed, dims)
			expect(distance(states.at(-1)!.data, unpack(x))).toBeLessThan(TOLERANCE)
			expect(distance(x0.data, unpack(x)), 'the last guess is the picture').toBeLessThan(TOLERANCE)
			const [picture, noise] = [1, 2].map((value) => ({ data: Float32Array.of(value), dims: [1] }))
			expect(sampler.renoise(picture!, noise!, Math.floor(steps / 2)).data[0]).toBeCloseTo(noised, 6)
		})
	}
)

test.each(golden.flows.refused)('a flow by $config in $steps steps is refused here too', ({ config, patches, steps }) => {
	expect(() => flow(config)({ steps, sampler: null }, patches)).toThrow(/expected/)
})

test.each([
	[{ invert_sigmas: true }, 'invert_sigmas'],
	[{ shift: 0 }, 'shift'],
	[{ _class_name: 'DPMSolverMultistepScheduler', use_flow_sigmas: true }, 'expected FlowMatchEulerDiscreteScheduler']
])('a flow by %o, which Darkroom has not, is refused by name', (config, key) => {
	expect(() => flow(config)).toThrow(ModelError)
	expect(() => flow(config)).toThrow(key)
})

test('a flow has one sampler, by whichever name it is asked for', () => {
	const samplerFor = flow({ shift: 3 })
	expect(samplerFor({ steps: 4, sampler: 'euler' }, 16).timesteps).toEqual(samplerFor({ steps: 4 }, 16).timesteps)
	expect(() => samplerFor({ steps: 4, sampler: 'ddim' }, 16)).toThrow('sampler: expected euler')
})

test.each(golden.strengths)('of $steps steps a strength of $strength leaves as many as in diffusers', (given) => {
	const sampler = flow({})(given, 16)
	const [whole, part] = [undefined, begun].map((left) => lastPart(sampler, given.steps, given.strength, left))
	expect(whole!.timesteps).toHaveLength(given.whole)
	expect(part!.timesteps).toHaveLength(given.begun)
})

test('a strength that leaves nothing of a walk that begins nearer to the picture is refused', () => {
	const sampler = fromConfig('DPMSolverMultistepScheduler', { lambda_min_clipped: 0, timestep_spacing: 'trailing' })({ steps: 4 })
	expect(sampler.timesteps).toHaveLength(2)
	expect(lastPart(sampler, 4, 0.75).timesteps).toHaveLength(1)
	expect(() => lastPart(sampler, 4, 0.5)).toThrow('strength: expected at least 0.75, which leaves one of 4 steps, got 0.5')
})

test('logarithms are those of numpy', () => {
	expect(unpack(golden.logarithms.x).map(log32)).toEqual(unpack(golden.logarithms.log))
})

test('keys that the saving class left to its default are each class’ own', () => {
	const saved = { clip_sample: false, timestep_spacing: 'trailing', _use_default_values: ['timestep_spacing'] }
	const samplerFor = fromConfig('DDIMScheduler', saved)
	expect(samplerFor({ steps: 2 }).timesteps).toEqual([500, 0])
	expect(samplerFor({ steps: 2, sampler: 'euler' }).timesteps).toEqual([999, 0])
})

test.each([
	['pndm', 51],
	['heun', 99],
	['unipc', 50],
	[null, 59]
] as const)(
	"50 steps of %s, of a model whose own is PNDM's with Runge–Kutta steps, are %i evaluations",
	(sampler, evaluations) => {
		expect(fromConfig('PNDMScheduler', {})({ steps: 50, sampler }).timesteps).toHaveLength(evaluations)
	}
)

test.each(['EulerDiscreteScheduler', 'EulerAncestralDiscreteScheduler'])(
	'%s begins as strong as the strongest noise of training where nothing is left of the picture, which is not the last',
	(className) => {
		const fullSigma = (timestep_spacing: string) =>
			fromConfig(className, { rescale_betas_zero_snr: true, timestep_spacing })({ steps: 5 }).fullSigma
		// `diffusers.EulerDiscreteScheduler(rescale_betas_zero_snr=True).init_noise_sigma`
		expect(fullSigma('linspace')).toBeCloseTo(15406.0098, 1)
		expect(fullSigma('leading')).toBeCloseTo(15406.0098, 1)
	}
)

// `s = diffusers.KDPM2DiscreteScheduler(); s.set_timesteps(3)`, and for each i `s.set_begin_index(i); s.add_noise(0, 1, s.timesteps[i : i + 1])`
test.each([
	['KDPM2DiscreteScheduler', [25.146116, 2.280347, 2.280347, 0.029168, 0.029168]],
	['EDMEulerScheduler', [80, 2.515219, 0.002]]
])('%s sends a picture as far back as diffusers, before each evaluation', (className, levels) => {
	const { renoise } = fromConfig(className, {})({ steps: 3 })
	const [picture, noise] = [0, 1].map((value) => ({ data: Float32Array.of(value), dims: [1] }))
	const got = levels.map((_, k) => renoise(picture!, noise!, k).data[0])
	expect(got).toEqual(levels.map((level) => expect.closeTo(level, 5)))
})

test('trailing timesteps end above zero, also where the reference counts one too many', () => {
	expect(fromConfig('DDIMScheduler', { timestep_spacing: 'trailing' })({ steps: 61 }).timesteps).toHaveLength(61)
})

test.each(['pndm', 'lms', 'heun', 'dpm++-2m-sde', 'unipc', null] as const)(
	'%s: a row that was stored and restored goes on as before',
	(name) => {
		const sampler = fromConfig('PNDMScheduler', { clip_sample: false })({ steps: 6, sampler: name })
		const dims = [4, 4, 4]
		const noise = generator(3)
		let row = { x: noise.normal(dims), history: sampler.start() }
		const step = (k: number, drawn = noise) => {
			const answer = network(sampler.scale(row.x, k), sampler.timesteps[k]!)
			row = sampler.advance(row, answer, k, drawn)
		}
		step(0)
		step(1)
		const stored = structuredClone({ row, noise: noise.state })
		step(2)
		step(3)
		const expected = row.x
		row = stored.row
		const restored = generator(stored.noise)
		step(2, restored)
		step(3, restored)
		expect(row.x).toEqual(expected)
	}
)
