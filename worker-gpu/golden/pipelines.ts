import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { InputName } from '../../shared/inputs.ts'
import { type Checkpoint, loadCheckpoint } from '../ldm/checkpoint.ts'
import type { Drawing } from '../ldm/drawing.ts'
import { generator } from '../ldm/noise.ts'
import type { Plan } from '../ldm/plan.ts'
import type { Stopwatch } from '../onnx/part.ts'
import { chooseProvider, type Provider } from '../onnx/provider.ts'
import type { Tensor } from '../onnx/tensor.ts'
import { distance, unpack } from './unpack.ts'

/*
 * Golden files of whole pipelines: models, which share their parts, and what the reference drew with them.
 */

export interface Golden {
	readonly models: Readonly<Record<string, Model>>
	/** About how many of a tensor's values are kept. */
	readonly samples: { readonly latent: number; readonly pixels: number }
	readonly drawn: readonly Drawn[]
}

interface Model {
	readonly class: string
	/** What else `model_index.json` says. */
	readonly index?: object
	/** The golden folder of each of its parts, or any other. */
	readonly parts: Readonly<Record<string, string>>
	readonly scheduler: object
	readonly low_res_scheduler?: object
	/** Where it is not that of float32. */
	readonly tolerance?: Tolerance
}

/** Of the largest value. */
export interface Tolerance {
	readonly latent: number
	readonly pixels: number
}

/** A drawing but for its inputs, which are made from the seed, as infra/model-kit/reference makes them too. */
export type Request = Omit<Drawing, InputName> & { readonly seed: number }

export interface Drawn {
	readonly model: string
	readonly request: Request
	/** Some of the values, evenly spread. */
	readonly latent: string
	/** Null where a rounding would decide between two codes that are nearly as near. */
	readonly pixels: string | null
}

const folder = import.meta.dirname

/**
 * Puts a model's parts together and loads them; on one core of the CPU by default. What is opened anew for each shape (onnx/session-per-shape.ts) finds no graph any more:
 * for that, see `assembled`.
 */
export async function open(model: Model, provider?: Provider, stopwatch: Stopwatch = { milliseconds: 0 }): Promise<Checkpoint> {
	const whole = await assembled(model)
	try {
		return await loadCheckpoint(whole, provider ?? (await chooseProvider('cpu', 1)), stopwatch)
	} finally {
		await rm(whole, { recursive: true })
	}
}

/** A new folder of links to a model's parts, as exporters write one. */
export async function assembled(model: Model): Promise<string> {
	const whole = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	await writeFile(path.join(whole, 'model_index.json'), JSON.stringify({ _class_name: model.class, ...model.index }))
	for (const [name, part] of Object.entries(model.parts)) {
		await symlink(path.resolve(folder, part), path.join(whole, name))
	}
	for (const name of ['scheduler', 'low_res_scheduler'] as const) {
		if (model[name]) {
			await mkdir(path.join(whole, name))
			await writeFile(path.join(whole, name, 'scheduler_config.json'), JSON.stringify(model[name]))
		}
	}
	return whole
}

/** The drawing of a request: soft noise for an image, for a mask, and for what steers where the request says how strongly; a map of eleven classes. */
export function drawingOf(request: Request): Drawing {
	const { task, width, height, seed } = request
	const shrink = task === 'super-resolution' ? 4 : 1
	const image = noise([3, height / shrink, width / shrink], seed + 1, (value) => Math.min(Math.max(value / 3, -1), 1))
	const mask = noise([1, height, width], seed + 2, (value) => Math.min(Math.max(value / 3 + 0.5, 0), 1))
	const classes = Float32Array.from({ length: height * width }, (_, i) => {
		const y = Math.floor(i / width)
		return (Math.floor((3 * y * y) / 7) + 5 * (i % width) + seed) % 11
	})
	const steers = request.control_scale !== undefined
	const control = noise([3, height, width], seed + 3, (value) => Math.min(Math.max(value / 3 + 0.5, 0), 1))
	const semantic_map = { data: classes, dims: [1, height, width] }
	return { ...request, image, mask, semantic_map, ...(steers && { control_image: control }) }
}

function noise(dims: readonly number[], seed: number, change: (value: number) => number): Tensor {
	return { data: generator(seed).normal(dims).data.map(change), dims }
}

/** Everything that happens between a plan and a picture. */
export async function develop(plan: Plan, seed: number): Promise<{ latent: Tensor; pixels: Tensor }> {
	const row = plan.start(seed)
	while (row.k < plan.evaluations) {
		plan.advance(row, await plan.denoiser.predict(plan.evaluate(row)))
	}
	return { latent: row.x, pixels: await plan.finish(row) }
}

/** How far a latent and a picture are from those that the reference drew, relative to their largest values. */
export const misses = (got: { latent: Tensor; pixels: Tensor }, { latent, pixels }: Drawn, { samples }: Golden) => ({
	latent: missed(got.latent, latent, samples.latent),
	pixels: pixels === null ? 0 : missed(got.pixels, pixels, samples.pixels)
})

function missed({ data }: Tensor, expected: string, count: number): number {
	const stride = Math.max(1, Math.floor(data.length / count))
	const seen = data.filter((_, i) => i % stride === 0)
	return distance(seen, unpack(expected))
}
