import path from 'node:path'
import { z } from 'zod'
import { answerOutput, latentInput } from '../../worker-gpu/ldm/denoiser.ts'
import { generator } from '../../worker-gpu/ldm/noise.ts'
import { isPacked, SIDE, unpacked, unpackedInputs } from '../../worker-gpu/ldm/packed.ts'
import { Levels, multipleOf } from '../../worker-gpu/ldm/widths.ts'
import { ROWS } from '../../worker-gpu/onnx/branches.ts'
import { readConfig } from '../../worker-gpu/onnx/config.ts'
import type { Feed } from '../../worker-gpu/onnx/convert.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import { loadPart, type Part, type Port } from '../../worker-gpu/onnx/part.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import { unstack } from '../../worker-gpu/onnx/rows.ts'
import { type Tensor, volume } from '../../worker-gpu/onnx/tensor.ts'

/** More than pictures of millions of pixels have. */
const Side = z.int().min(1).max(10_000)

const Config = z.object({
	in_channels: z.int().min(1).optional(),
	/** Latents along each side that it was trained on. */
	sample_size: z.union([Side, z.array(Side).min(1)]).nullish(),
	/** Patches along a side that a transformer has places for. */
	pos_embed_max_size: Side.nullish(),
	...Levels
})

/** Of FLUX, whose config.json says neither how many latents make a token nor what it was trained on. */
const PACKED = { patch_size: SIDE, sample_size: 128 }

/** Largest side of a picture that is offered unasked, in pixels, where the model was trained on smaller ones. */
const LARGEST = 1024

/** Of what the U-Net is shown of a picture; and how many pixels a latent stands for, along each side. */
export type Shape = readonly [channels: number, height: number, width: number, factor: number]

/** Latents along each side. */
export interface LatentSizes {
	/** What it was trained on. */
	readonly default: number
	readonly min: number
	readonly max: number
	/** What its halvings divide. */
	readonly multiple: number
	/** What to show it to see how it computes, at little cost. */
	readonly probes: readonly Shape[]
}

/**
 * Sizes that a U-Net takes. Where its ports leave them free: from half to twice of what it was trained on.
 *
 * @param factor pixels that a latent stands for, along each side
 * @param stage height and width of the latents that the first stage was exported for; free where they are no numbers
 */
export async function latentSizes(
	folder: string,
	inputs: ReadonlyMap<string, Port>,
	factor: number,
	stage: Port['dims']
): Promise<LatentSizes> {
	const packed = isPacked({ inputs })
	const config = await readConfig(path.join(folder, 'config.json'), Config)
	const { in_channels, sample_size, pos_embed_max_size: places, ...levels } = { ...config, ...(packed && PACKED) }
	const multiple = multipleOf(levels)
	const shown = packed ? unpackedInputs({ folder, inputs }) : inputs
	const [, declared, ...own] = shown.get(latentInput(inputs))?.dims ?? []
	const [height, width] = own.some(Number.isInteger) ? own : stage
	// Exports of Optimum 1.17 and before leave them free.
	const channels = typeof declared === 'number' ? declared : in_channels
	if (channels === undefined) {
		throw new ModelError(
			folder,
			`expected the input ${latentInput(inputs)} with a fixed number of channels, or in_channels in its config.json`
		)
	}
	if (typeof height === 'number' || typeof width === 'number') {
		if (typeof height !== 'number' || height !== width) {
			throw new ModelError(folder, `expected latents with a free height and width or square, got ${height} × ${width}`)
		}
		return { default: height, min: height, max: height, multiple, probes: [[channels, height, height, factor]] }
	}
	const whole = (latents: number) => Math.max(1, Math.round(latents / multiple)) * multiple
	// diffusers' own default for U-Nets that do not say.
	const trained = whole(sample_size ? Math.max(...[sample_size].flat()) : 64)
	const small = Math.min(trained, Math.ceil(16 / multiple) * multiple)
	const odd = 2 * Math.ceil(small / multiple / 2) - 1
	return {
		default: trained,
		min: whole(trained / 2),
		max: Math.max(trained, whole(Math.min(2 * trained, LARGEST / factor, places ? places * multiple : Infinity))),
		multiple,
		probes: [
			[channels, small, small, factor],
			// With an odd number of places in its innermost level, where rows may lie unlike one another in memory.
			[channels, odd * multiple, (odd + 2) * multiple, factor]
		]
	}
}

/** Inputs whose first axis may not be rows: one timestep, or places of tokens, for all of them. */
const SHARED = new Set(['timestep', 'img_ids', 'txt_ids'])

/** How many rows a U-Net was exported for; undefined where that is free. */
export function fixedRows(inputs: ReadonlyMap<string, Port>): number | undefined {
	const counts = Array.from(inputs, ([name, { dims }]) => (SHARED.has(name) ? undefined : dims[0]))
	return counts.find((count) => typeof count === 'number')
}

/** A batch of made-up rows, each another. Its shapes are those that the graph declares; what is free there takes a small size. */
export interface Rows {
	readonly [input: string]: Tensor
}

export function madeUpRows({ inputs, folder }: Part, count: number, shape: Shape): Rows {
	const latent = latentInput(inputs)
	const [channels, height, width, factor] = shape
	const rows = Array.from(inputs, ([name, { dims, type }], i): [string, Tensor] => {
		const picture = name === 'controlnet_cond' ? [3, height * factor, width * factor] : []
		const free = name === latent ? [channels, height, width] : picture
		const row = dims.slice(1).map((dim, axis) => (typeof dim === 'number' ? dim : (free[axis] ?? 8)))
		if (name === latent && dims.length !== 4) {
			throw new ModelError(
				folder,
				`expected the input ${latent} with rank 4 [batch, channels, height, width], got [${dims.join(', ')}]`
			)
		}
		const whole = [count, ...row]
		// Numbers that stand for something (a class, a noise level) are few and small.
		const data = type.startsWith('int')
			? Float32Array.from({ length: volume(whole) }, (_, n) => n % 2)
			: generator(i).normal(whole).data
		return [name, { data, dims: whole }]
	})
	return Object.fromEntries(rows.filter(([name]) => name !== 'timestep' && name !== ROWS))
}

/** Runs `count` of `rows`, from the one at `first` on, each of its own latent and at its timestep. The outputs come in the same order. */
export async function ask(part: Part, rows: Rows, timestep: Feed, count: number, first = 0): Promise<Tensor[]> {
	const feeds = Object.entries(rows).map(
		([
			name,
			{
				data,
				dims: [, ...row]
			}
		]): [string, Feed] => [
			name,
			{ data: data.subarray(first * volume(row), (first + count) * volume(row)), dims: [count, ...row] }
		]
	)
	try {
		const own = { data: Array.from({ length: count }, (_, row) => row), dims: [count] }
		const [answers] = await part.run({ ...Object.fromEntries(feeds), timestep, [ROWS]: own }, [answerOutput(part.outputs)])
		return unstack(answers!)
	} catch (error) {
		const sample = rows[latentInput(part.inputs)]!.dims.slice(1).join(' × ')
		throw new ModelError(part.folder, `expected it to take ${count} rows of ${sample}, got: ${(error as Error).message}`, {
			cause: error
		})
	}
}

/** Loads a part for as long as `use` takes; FLUX's transformer as one of latents. */
export async function withPart<T>(folder: string, provider: Provider, use: (part: Part) => Promise<T>): Promise<T> {
	const part = await loadPart(folder, provider, { milliseconds: 0 })
	try {
		return await use(isPacked(part) ? unpacked(part) : part)
	} finally {
		await part.release()
	}
}
