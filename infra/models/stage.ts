import { constants, existsSync, lstatSync } from 'node:fs'
import { chmod, copyFile, link, mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { loadCheckpoint } from '../../worker-gpu/ldm/checkpoint.ts'
import { tokenizerJson } from '../../worker-gpu/ldm/conditioners/tokenizer-json.ts'
import { FACTS, type Facts } from '../../worker-gpu/ldm/facts.ts'
import { upcasts } from '../../worker-gpu/ldm/first-stages/upcasting.ts'
import { readConfig } from '../../worker-gpu/onnx/config.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import { type Port, port } from '../../worker-gpu/onnx/part.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import { volume } from '../../worker-gpu/onnx/tensor.ts'
import type { Entry } from './catalog-file.ts'
import { missingConfigs } from './configs.ts'
import { catalogEntry, type Sizes, tryTasks } from './entry.ts'
import { type Export, enumerate } from './folder.ts'
import { channelsOf, type Graph } from './graph.ts'
import { LARGEST_BATCH, measureInvariance } from './invariance.ts'
import { endWithMoments } from './moments.ts'
import { explainedBy, fitPreview } from './preview.ts'
import { proveSteering, proveTimestep } from './prove.ts'
import { writeSums } from './sums.ts'
import { isPerRow, rewriteTimestep } from './timestep.ts'
import { fixedRows, latentSizes, type Shape, withPart } from './unet.ts'
import { widen } from './widen.ts'

export interface Staged {
	readonly entry: Entry
	readonly facts: Facts
	/** What was changed on the way in, and what is left out. */
	readonly notes: readonly string[]
}

/** Told what goes on. Gives what is to be called `total` times. */
export type Progress = (label: string, total: number) => () => void

/**
 * Makes a model of an export in the folder `staged`: makes its U-Net take a timestep for each row and proves it, measures what is to be known of it, and draws with
 * each of its tasks. Throws a ModelError that names the file at fault.
 */
export async function stage(
	id: string,
	found: Export,
	staged: string,
	provider: Provider,
	progress: Progress = () => () => {}
): Promise<Staged> {
	const notes: string[] = []
	if (found.otherGraphs.length > 0) {
		notes.push(`${enumerate(found.otherGraphs)}: left out, for of each part its model.onnx is read`)
	}
	const { denoiser } = found
	const graph = found.graphs.get(denoiser)
	const timestep = graph?.inputs.get('timestep')
	if (!timestep) {
		const file = path.join(found.folder, denoiser, 'model.onnx')
		const name = denoiser === 'unet' ? 'U-Net' : denoiser
		throw new ModelError(file, `expected a ${name} with the input timestep, found no ${graph ? 'input' : 'file'}`)
	}
	const network = path.join(staged, denoiser)
	const overflowing = await overflowingParts(found)
	await copyFiles(found, staged, overflowing, progress)
	notes.push(
		...overflowing.map((name) => `${name}: computes in float32 from now, for force_upcast says that it overflows in float16`)
	)
	for (const name of found.oldTokenizers) {
		await writeFile(path.join(staged, name, 'tokenizer.json'), JSON.stringify(await tokenizerJson(path.join(staged, name))))
		notes.push(`${name}/tokenizer.json was made of the older files`)
	}
	const factor = await firstStageFactor(staged, found, provider)
	const encoder = found.graphs.get('vae_encoder')
	if (
		encoder?.outputs.has('latent_sample') &&
		(await endWithMoments(path.join(staged, 'vae_encoder'), encoder, provider, factor))
	) {
		notes.push('vae_encoder: it drew inside its graph, which ends with what it drew from now, for seeds to reach it')
	}
	for (const [name, config] of Object.entries(missingConfigs(found, factor))) {
		await writeFile(path.join(staged, name, 'config.json'), JSON.stringify(config))
		notes.push(`${name}/config.json was made of the graph, and is Stable Diffusion's in all that the graph does not say`)
	}
	const { probes, ...latents } = await latentSizes(network, graph!.inputs, factor, fixedSides(found, factor))

	const proven = progress('proving  ', 1)
	const original = await withoutLinks(path.join(found.folder, denoiser), network, `${network}-as-exported`, graph!)
	const rows = await rowsOfCalls(original, network, provider, probes[0]!, graph!)
	await rm(`${network}-as-exported`, { recursive: true, force: true })
	const isSteered = graph!.inputs.has('controlnet_cond')
	if (isSteered) {
		await proveSteering(network, provider, probes[0]!, graph!.half)
	}
	proven()
	const change = isPerRow(timestep)
		? 'one for each row as it is'
		: `${timestep.type} [${timestep.dims}] was rewritten to one float for each row`
	notes.push(`timestep: ${change}, and two timesteps ${rows === 1 ? 'after one another' : 'in one batch'} proven`)

	if (isSteered) {
		notes.push('controlnet_cond: proven to steer each row by its own map and scale')
	}

	const facts: Facts = rows === undefined ? await sameBits(network, provider, probes, progress) : { rows }
	if (rows !== undefined) {
		const why = fixedRows(graph!.inputs)
			? 'as it was exported'
			: 'for its answer depends on its company (dynamic quantisation does that)'
		notes.push(`each call of the U-Net has ${rows === 1 ? 'one row' : `${rows} rows`}, ${why}: pictures wait for one another`)
	} else if (facts.invariantFrom === undefined) {
		notes.push(
			`no batch below ${LARGEST_BATCH} rows has the same bits as all larger ones: pictures depend on their company by a rounding`
		)
	}
	const write = (known: Facts) => writeFile(path.join(staged, FACTS), `${JSON.stringify(known)}\n`)
	await write(facts)

	const checkpoint = await loadCheckpoint(staged, provider, { milliseconds: 0 })
	const pixels = (side: number) => side * factor
	const sizes: Sizes = {
		default: pixels(latents.default),
		min: pixels(latents.min),
		max: pixels(latents.max),
		multiple: pixels(latents.multiple),
		factor
	}
	const tried = await tryTasks(checkpoint, found, sizes, progress('drawing  ', Object.keys(checkpoint).length))
	const preview = fitPreview(tried.pairs)
	await write({ ...facts, preview })
	await writeSums(
		staged,
		Array.from(found.graphs, ([part, { external }]) => ['model.onnx', ...external].map((name) => path.join(part, name))).flat()
	)
	notes.push(
		...tried.notes,
		`previews from latents explain ${Math.round(100 * explainedBy(preview, tried.pairs))} % of the colours`
	)
	return { entry: await catalogEntry(id, staged, found, sizes, tried), facts: { ...facts, preview }, notes }
}

/** The first stage's graphs that are in float16, where the pipeline runs them in float32. */
async function overflowingParts({ folder, pipeline, graphs }: Export): Promise<string[]> {
	const config = path.join(folder, 'vae_decoder/config.json')
	if (!upcasts(pipeline) || !existsSync(config)) {
		return []
	}
	const { force_upcast } = await readConfig(config, z.object({ force_upcast: z.boolean().default(true) }))
	const isHalf = (name: string) => Array.from(graphs.get(name)?.inputs.values() ?? []).some(({ type }) => type === 'float16')
	return force_upcast ? ['vae_decoder', 'vae_encoder'].filter(isHalf) : []
}

/** Copies what is read of the export; the U-Net's graph with a timestep for each row, and parts that overflow in float16 as they compute in float32. */
async function copyFiles(
	{ folder, files, graphs, denoiser }: Export,
	staged: string,
	overflowing: readonly string[],
	progress: Progress
): Promise<void> {
	const network = graphs.get(denoiser)!
	const copied = progress('copying  ', files.length)
	for (const name of files) {
		const target = path.join(staged, name)
		await mkdir(path.dirname(target), { recursive: true })
		if (name === path.join(denoiser, 'model.onnx') && !isPerRow(network.inputs.get('timestep')!)) {
			rewriteTimestep(network.file, target)
		} else if (overflowing.some((part) => name === path.join(part, 'model.onnx'))) {
			widen(path.join(folder, name), target)
		} else {
			// No copy at all where the file system can share blocks.
			await copyFile(path.join(folder, name), target, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE)
			await chmod(target, 0o666 & ~process.umask()) // Downloads may be for their owner alone, and a node another user.
		}
		copied()
	}
}

/**
 * The folder of a graph as it was exported, or `target` with the same where its weights are links, as in huggingface_hub's cache: ONNX Runtime follows none
 * out of the folder when it is given a graph that was rewritten, and a graph that was not rounds otherwise.
 *
 * @param copied has the weights
 */
async function withoutLinks(folder: string, copied: string, target: string, { external }: Graph): Promise<string> {
	if (!external.some((name) => lstatSync(path.join(folder, name)).isSymbolicLink())) {
		return folder
	}
	await mkdir(target)
	await copyFile(path.join(folder, 'model.onnx'), path.join(target, 'model.onnx'))
	for (const name of external) {
		await mkdir(path.dirname(path.join(target, name)), { recursive: true })
		await link(path.join(copied, name), path.join(target, name))
	}
	return target
}

/**
 * How many rows each call must have: as many as the graph was exported for, or one where rows of one batch cannot be told apart; undefined where that is free. Throws where
 * timesteps are not followed even so.
 */
async function rowsOfCalls(
	original: string,
	rewritten: string,
	provider: Provider,
	probe: Shape,
	{ inputs, half }: Graph
): Promise<number | undefined> {
	const exported = fixedRows(inputs)
	const prove = (count: number) => proveTimestep(original, rewritten, provider, probe, count, half)
	if (exported !== undefined) {
		await prove(exported)
		return exported
	}
	try {
		await prove(2)
		return undefined
	} catch (error) {
		await prove(1).catch(() => {
			throw error
		})
		return 1
	}
}

async function sameBits(network: string, provider: Provider, probes: readonly Shape[], progress: Progress): Promise<Facts> {
	const measured = progress('measuring', probes.length * (LARGEST_BATCH + 1))
	const invariantFrom = await withPart(network, provider, (part) => measureInvariance(part, probes, measured))
	return invariantFrom === undefined ? {} : { invariantFrom }
}

/** Height and width of the latents that the first stage was exported for, where they are fixed. */
const fixedSides = ({ graphs }: Export, factor: number): Port['dims'] =>
	Array.from(graphs, ([name, { inputs }]) =>
		name.endsWith('_decoder')
			? inputs.get('latent_sample')?.dims.slice(2)
			: inputs
					.get('sample')
					?.dims.slice(2)
					.map((dim) => (typeof dim === 'number' ? dim / factor : dim))
	).find((dims) => dims?.some(Number.isInteger)) ?? []

/** Pixels that a latent stands for, along each side, as the decoder has it; 1 where there is none. */
async function firstStageFactor(staged: string, { graphs }: Export, provider: Provider): Promise<number> {
	const name = ['vae_decoder', 'vqvae_decoder'].find((name) => graphs.has(name))
	if (!name) {
		return 1
	}
	return withPart(path.join(staged, name), provider, async (part) => {
		const [pictures, , ...sides] = port(part, 'inputs', 'latent_sample').dims
		if (typeof pictures === 'number' && pictures !== 1) {
			throw new ModelError(part.folder, `expected the input latent_sample for one picture or any number, got ${pictures}`)
		}
		const channels = channelsOf(graphs.get(name)!, 'latent_sample') ?? (await latentChannels(part.folder))
		const dims = [1, channels, ...[0, 1].map((side) => (typeof sides[side] === 'number' ? sides[side] : 8))]
		const latent = { data: new Float32Array(volume(dims)), dims }
		const [image] = await part.run({ latent_sample: latent }, [[...part.outputs.keys()][0]!])
		const [, colours, height] = image!.dims
		if (colours !== 3) {
			throw new ModelError(part.folder, `expected pictures of three channels, got ${colours}`)
		}
		const factor = height! / dims[2]!
		if (!Number.isInteger(Math.log2(factor))) {
			throw new ModelError(part.folder, `expected pictures 1, 2, 4, 8 … times as large as their latents, got ${factor} times`)
		}
		return factor
	})
}

async function latentChannels(folder: string): Promise<number> {
	const file = path.join(folder, 'config.json')
	const { latent_channels } = existsSync(file)
		? await readConfig(file, z.object({ latent_channels: z.int().min(1).optional() }))
		: {}
	if (latent_channels === undefined) {
		throw new ModelError(
			folder,
			'expected the input latent_sample [batch, channels, height, width] with a fixed number of channels, or latent_channels in its config.json'
		)
	}
	return latent_channels
}
