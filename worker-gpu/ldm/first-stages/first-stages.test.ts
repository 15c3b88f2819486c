import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { unpack, unzip } from '../../golden/unpack.ts'
import { loadPart } from '../../onnx/part.ts'
import { chooseProvider } from '../../onnx/provider.ts'
import type { Tensor } from '../../onnx/tensor.ts'
import { openFolder } from '../model-folder.ts'
import { generator } from '../noise.ts'
import { type Autoencoder, autoencoder } from './autoencoder.ts'
import type { FirstStage } from './first-stage.ts'
import { identity } from './identity.ts'
import { kl } from './kl.ts'
import { loadFirstStage } from './load.ts'
import { tiled } from './tiled.ts'
import { vq } from './vq.ts'

interface Packed {
	dims: number[]
	data: string
}
interface Run {
	size: [number, number]
	seed: number
	whole: Results
	tiled: Results
}
interface Results {
	moments?: Packed
	latent: Packed
	pixels: Packed
	codes?: number[]
}

const folder = path.join(import.meta.dirname, '../../golden/first-stages')
const golden = await unzip<{ runs: Record<string, Run[]> }>('first-stages/first-stages.json.gz')
const provider = await chooseProvider('cpu', 1)
const load = (folder: string) => loadPart(folder, provider, { milliseconds: 0 })
const part = (name: string) => load(path.join(folder, name))
const opened = (folder: string) => openFolder(folder, 'LDMPipeline', provider, load)

const cases = Object.entries(golden.runs).flatMap(([name, runs]) =>
	runs.flatMap((run) => (['whole', 'tiled'] as const).map((way) => ({ name, way, run, size: run.size.join(' × ') })))
)

describe.each(cases)('$name, $way, $size: what diffusers gives', async ({ name, way, run }) => {
	const { latent, pixels, moments, codes } = run[way]
	const parts = await partsOf(name)
	const stage: FirstStage = await (name === 'vq' ? vq : kl)(parts, { tiling: way === 'tiled' })

	test('encodes', async () => {
		expectClose((await stage.encode(picture(run)))(generator(run.seed)), latent, 1e-4)
	})

	test('decodes', async () => {
		expectClose(await stage.decode(noise(latent.dims, run.seed + 1)), pixels, 1e-3)
	})

	if (moments) {
		test('moments', async () => {
			const whole = autoencoder(stage.factor, parts.decoder, parts.encoder, 'latent_parameters')
			const networks = way === 'tiled' ? tiled(whole, 16) : whole
			expectClose(await networks.encode(picture(run)), moments, 1e-4)
		})
	}

	if (codes) {
		test('codes', async () => {
			const scaled = noise(latent.dims, run.seed + 1).data.map((value) => value / 0.9)
			const [got] = await parts.decoder.run({ latent_sample: { data: scaled, dims: [1, ...latent.dims] } }, ['codes'])
			expect([...got!.data]).toEqual(codes)
		})
	}
})

test.each([
	['vq', 52, 36],
	['vq', 16, 40],
	['kl', 52, 36]
])('seams of %s, %i × %i: along them blending adds at most D / n to a step', async (name, height, width) => {
	const { decoder } = await partsOf(name)
	const [size, stride, factor] = [16, 12, 4]
	const tiles: Tensor[] = []
	const whole = autoencoder(factor, decoder, undefined, '')
	const recording = {
		...whole,
		async decode(z: Tensor) {
			const tile = await whole.decode(z)
			tiles.push({ dims: tile.dims, data: tile.data.slice() })
			return tile
		}
	}
	const tilesAcross = Math.ceil(width / stride)
	const picture = await tiled(recording, size).decode(noise([name === 'vq' ? 3 : 4, height / factor, width / factor], 5))

	/** What each tile that covers a pixel gives there. */
	const at = (c: number, y: number, x: number) =>
		tiles.map(({ data, dims: [, h, w] }, i) => {
			const [ty, tx] = [y - Math.floor(i / tilesAcross) * stride, x - (i % tilesAcross) * stride]
			return ty >= 0 && ty < h! && tx >= 0 && tx < w! ? data[(c * h! + ty) * w! + tx]! : undefined
		})
	let apart = 0
	let ownStep = 0
	let step = 0
	for (let c = 0; c < 3; c++) {
		for (let y = 0; y < height; y++) {
			for (let x = 0; x < width - 1; x++) {
				const [here, there] = [at(c, y, x), at(c, y, x + 1)]
				const given = here.filter((value) => value !== undefined)
				const pixel = picture.data[(c * height + y) * width + x]!
				expect(pixel).toBeGreaterThan(Math.min(...given) - 1e-5)
				expect(pixel).toBeLessThan(Math.max(...given) + 1e-5)
				apart = Math.max(apart, Math.max(...given) - Math.min(...given))
				ownStep = Math.max(
					ownStep,
					...here.map((value, i) => Math.abs((there[i] ?? Number.NaN) - value!)).filter(Number.isFinite)
				)
				step = Math.max(step, Math.abs(picture.data[(c * height + y) * width + x + 1]! - pixel))
			}
		}
	}
	expect(apart).toBeGreaterThan(0.1)
	expect(step).toBeLessThan(ownStep + apart / 4)
})

test.each([
	['kl', 4],
	['kl-shift', 2],
	['vq', 4]
])('loads %s, f = %i, from its folder', async (name, factor) => {
	const stage = await loadFirstStage(await opened(path.join(folder, name)))
	expect(stage.factor).toBe(factor)
	const z = (await stage.encode(noise([3, 16, 24], 0)))(generator(0))
	expect((await stage.decode(z)).dims).toEqual([3, 16, 24])
})

test('a model whose darkroom.json says so is decoded in tiles', async () => {
	const model = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		await cp(path.join(folder, 'vq'), model, { recursive: true })
		await writeFile(path.join(model, 'darkroom.json'), '{"tiling":true}')
		const stage = await loadFirstStage(await opened(model))
		const { seed, tiled } = golden.runs.vq!.at(-1)!
		expectClose(await stage.decode(noise(tiled.latent.dims, seed + 1)), tiled.pixels, 1e-3)
	} finally {
		await rm(model, { recursive: true })
	}
})

test.each([1, 9, 16, 40, 100])('pictures keep their size in tiles of %i pixels', async (size) => {
	const nearest: Autoencoder = {
		factor: 8,
		encode: async ({ data, dims: [c, h, w] }) => taken(data, [c!, h! / 8, w! / 8], (y, x) => 8 * y * w! + 8 * x),
		decode: async ({ data, dims: [c, h, w] }) => taken(data, [c!, 8 * h!, 8 * w!], (y, x) => (y >> 3) * w! + (x >> 3))
	}
	const taken = (data: Float32Array, dims: [number, number, number], place: (y: number, x: number) => number): Tensor => {
		const [channels, height, width] = dims
		const plane = data.length / channels
		const at = (i: number) => Math.floor(i / (height * width)) * plane + place(Math.floor(i / width) % height, i % width)
		return { data: Float32Array.from({ length: channels * height * width }, (_, i) => data[at(i)]!), dims }
	}
	const stage = tiled(nearest, size)
	const z = noise([3, 13, 10], 0)
	const whole = await nearest.decode(z)
	expect(await stage.decode(z)).toEqual(whole)
	expect(await stage.encode(whole)).toEqual(z)
})

test('refuses a folder without a decoder', async () => {
	await expect(loadFirstStage(await opened(folder))).rejects.toThrow(/expected a vae_decoder or vqvae_decoder, found neither/)
})

test('VQ without the scaling factor, as super-resolution decodes', async () => {
	const parts = await partsOf('vq')
	const z = noise([3, 4, 4], 3)
	const scaled = { data: z.data.map((value) => value * 0.9), dims: z.dims }
	const picture = (await (await vq(parts)).decode(scaled)).data
	expect(distance((await (await vq(parts, { scaling: false })).decode(z)).data, picture)).toBeLessThan(1e-5)
	expect(distance((await (await vq(parts)).decode(z)).data, picture)).toBeGreaterThan(0.1)
})

test('identity leaves a picture as it is', async () => {
	const image = noise([3, 5, 7], 0)
	expect(identity.factor).toBe(1)
	expect(await identity.decode((await identity.encode(image))(generator(0)))).toEqual(image)
})

test('a half-precision export gives nearly the same', async () => {
	const full = await kl(await partsOf('kl'))
	const half = await kl(await partsOf('kl-fp16'))
	const z = noise([4, 7, 5], 1)
	const expected = (await full.decode(z)).data
	const apart = distance((await half.decode(z)).data, expected)
	expect(apart).toBeGreaterThan(0)
	expect(apart).toBeLessThan(5e-3 * largest(expected))
	const image = noise([3, 28, 20], 2)
	const moments = async (parts: Awaited<ReturnType<typeof partsOf>>) =>
		(await autoencoder(4, parts.decoder, parts.encoder, 'latent_parameters').encode(image)).data
	const fullMoments = await moments(await partsOf('kl'))
	expect(distance(await moments(await partsOf('kl-fp16')), fullMoments)).toBeLessThan(5e-3 * largest(fullMoments))
})

test('infinity names the network that it came from', async () => {
	const half = await kl(await partsOf('kl-fp16'))
	const huge = { data: new Float32Array(4 * 4 * 4).fill(1e5), dims: [4, 4, 4] }
	await expect(half.decode(huge)).rejects.toMatchObject({
		name: 'NotFinite',
		message: 'sample of vae_decoder: expected finite numbers, got NaN or infinity'
	})
})

test('says why a model cannot encode', async () => {
	const { decoder, encoder } = await partsOf('kl')
	const image = noise([3, 16, 16], 0)
	await expect((await kl({ decoder })).encode(image)).rejects.toThrow(/vae_decoder: expected an encoder beside it/)
	const drawnInside = { ...encoder, outputs: new Map([['latent_sample', { type: 'float32', dims: [] }]]) }
	await expect((await kl({ decoder, encoder: drawnInside })).encode(image)).rejects.toThrow(
		/vae_encoder: expected the output latent_parameters, got latent_sample/
	)
})

async function partsOf(name: string) {
	const prefix = name === 'vq' ? 'vqvae' : 'vae'
	return { decoder: await part(`${name}/${prefix}_decoder`), encoder: await part(`${name}/${prefix}_encoder`) }
}

/** As the reference makes it: randn / 3, clipped to [−1, 1]. */
function picture({ size: [height, width], seed }: Run): Tensor {
	const { data, dims } = generator(seed).normal([3, height, width])
	return { data: data.map((value) => Math.min(Math.max(Math.fround(value / 3), -1), 1)), dims }
}

const noise = (dims: readonly number[], seed: number): Tensor => generator(seed).normal(dims)

/** Channel by channel, relative to its largest value, or absolute where that is below 1. */
function expectClose(got: Tensor, packed: Packed, tolerance: number): void {
	const expected = unpack(packed.data)
	expect(got.dims).toEqual(packed.dims)
	const size = got.data.length / got.dims[0]!
	for (let from = 0; from < got.data.length; from += size) {
		const channel = expected.subarray(from, from + size)
		expect(distance(got.data.subarray(from, from + size), channel)).toBeLessThan(tolerance * Math.max(1, largest(channel)))
	}
}

const largest = (values: Float32Array): number => values.reduce((max, value) => Math.max(max, Math.abs(value)), 0)

const distance = (a: Float32Array, b: Float32Array): number =>
	a.reduce((max, value, i) => Math.max(max, Math.abs(value - b[i]!)), 0)
