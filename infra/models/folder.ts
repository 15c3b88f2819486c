import { existsSync, lstatSync, readdirSync, realpathSync, statSync } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import { readFamily } from '../../worker-gpu/ldm/checkpoint.ts'
import { readConfig } from '../../worker-gpu/onnx/config.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import { type Graph, readGraph } from './graph.ts'
import { refusePointer } from './lfs.ts'

/** An export, as it lies on the disk: nothing was run yet. */
export interface Export {
	readonly folder: string
	/** The diffusers class that it names, as it names it. */
	readonly pipeline: string
	/** The class of its own scheduler. */
	readonly scheduler: string
	/** By folder: `unet`, `vae_decoder`. */
	readonly graphs: ReadonlyMap<string, Graph>
	/** The folder of the network that draws: a U-Net, or a transformer in its place. */
	readonly denoiser: 'unet' | 'transformer'
	/** Folders of tokenizers that have only the older files. */
	readonly oldTokenizers: readonly string[]
	/** What Darkroom reads of it, relative to the folder. */
	readonly files: readonly string[]
	/** Bytes of these files. */
	readonly size: number
	/** Graphs beside them that it does not read: `unet/model_quantized.onnx`. */
	readonly otherGraphs: readonly string[]
}

const INDEX = 'model_index.json'

const Scheduler = z.object({ _class_name: z.string() })

const hint = '`optimum-cli export onnx` or infra/model-kit/export makes ONNX graphs of PyTorch weights'

/** Parts of Stable Diffusion's exports that no pipeline here runs. */
const unused = new Set(['safety_checker', 'feature_extractor'])

/**
 * Looks at a folder in the diffusers/Optimum ONNX layout. Throws a ModelError where it is none of a known class, where a graph is broken, or
 * where a file that would be read is missing or a link.
 */
export async function readExport(given: string): Promise<Export> {
	const stat = statSync(given, { throwIfNoEntry: false })
	if (!stat?.isDirectory()) {
		const isWeights = /\.(safetensors|ckpt)$/.test(given)
		const found = stat ? `got ${stat.isFile() ? 'a file' : 'none'}` : 'found none'
		throw new ModelError(given, `expected a folder, ${found}${isWeights ? `. ${hint}` : ''}`)
	}
	const folder = realpathSync(given)
	const blobs = blobsOf(folder)
	if (!existsSync(path.join(folder, INDEX))) {
		throw new ModelError(folder, withoutIndex(folder))
	}
	const { name: pipeline } = await readFamily(folder)
	const { _class_name: scheduler } = await readConfig(path.join(folder, 'scheduler/scheduler_config.json'), Scheduler)
	const denoiser = existsSync(path.join(folder, 'transformer')) ? 'transformer' : 'unet'
	const graphs = new Map<string, Graph>()
	const oldTokenizers: string[] = []
	const files = new Set<string>() // Weights may be called as a text is.
	const take = (...names: string[]) => {
		const name = path.join(...names)
		const file = path.join(folder, name)
		if (!isPlain(file) && !(blobs && isIn(blobs, file))) {
			throw new ModelError(file, 'expected a plain file, got something else (`cp -rL` makes files of links)')
		}
		refusePointer(file)
		files.add(name)
	}

	take(INDEX)
	for (const entry of readdirSync(folder, { withFileTypes: true })) {
		const inFolder = path.join(folder, entry.name)
		if (entry.isSymbolicLink() && statSync(inFolder, { throwIfNoEntry: false })?.isDirectory()) {
			throw new ModelError(inFolder, 'expected a plain folder, got a link (`cp -rL` makes files of links)')
		}
		if (!entry.isDirectory() || unused.has(entry.name)) {
			continue
		}
		const inside = readdirSync(inFolder)
		for (const name of inside.filter((name) => /\.(json|txt)$|^spiece\.model$/.test(name))) {
			take(entry.name, name)
		}
		if (inside.includes('model.onnx')) {
			take(entry.name, 'model.onnx')
			const graph = readGraph(path.join(inFolder, 'model.onnx'))
			for (const location of graph.external) {
				take(entry.name, location)
			}
			graphs.set(entry.name, graph)
		}
		if (entry.name.startsWith('tokenizer') && !inside.includes('tokenizer.json')) {
			oldTokenizers.push(entry.name)
		}
	}
	const otherGraphs = listOtherGraphs(folder)
	const alone = otherGraphs.filter((name) => {
		const [part, ...rest] = name.split(path.sep)
		return !graphs.has(denoiser) || (rest.length === 1 && !graphs.has(part!))
	})
	if (alone.length > 0) {
		throw new ModelError(
			folder,
			`expected a graph called model.onnx in each part's folder (${denoiser}/model.onnx), found ${enumerate(alone)}`
		)
	}
	if (graphs.size === 0) {
		throw new ModelError(folder, `expected ONNX graphs (${denoiser}/model.onnx), found none. ${hint}`)
	}
	const size = [...files].reduce((sum, name) => sum + statSync(path.join(folder, name)).size, 0)
	return { folder, pipeline, scheduler, graphs, denoiser, oldTokenizers, files: [...files], size, otherGraphs }
}

/** What is wrong with a folder that has no index, and where there is one. */
function withoutIndex(folder: string): string {
	const deeper = exportsIn(folder)
	if (deeper.length > 0) {
		return `expected a folder with a ${INDEX}, found one deeper: give ${enumerate(deeper)}`
	}
	const around = path.dirname(folder)
	return existsSync(path.join(around, INDEX))
		? `expected a folder with a ${INDEX}, found one around it: give ${around}`
		: `expected a ${INDEX}, which names the pipeline, found none. An exporter that writes graphs alone leaves it, scheduler/, tokenizer/ and ` +
				"each part's config.json to be copied from the model that it was given"
}

/** Folders in it with an index: a zip was unpacked with one around it, or all of a download's versions are in there (`snapshots/<commit>`). */
const exportsIn = (folder: string, levels = 2): string[] =>
	readdirSync(folder, { withFileTypes: true })
		.filter((entry) => entry.isDirectory())
		.map(({ name }) => path.join(folder, name))
		.flatMap((each) => (existsSync(path.join(each, INDEX)) ? [each] : levels > 1 ? exportsIn(each, levels - 1) : []))

/** Neither a link itself, nor one on the way there. */
const isPlain = (file: string): boolean => lstatSync(file).isFile() && realpathSync(file) === file

/** Where the files of a download lie that are links in `models--…/snapshots/<commit>`: the cache of huggingface_hub. */
const blobsOf = (folder: string): string | undefined => {
	const [, cache] = /^(.*)\/snapshots\/[^/]+(\/|$)/.exec(folder) ?? []
	return cache && path.join(cache, 'blobs')
}

const isIn = (blobs: string, file: string): boolean =>
	existsSync(file) && statSync(file).isFile() && path.dirname(realpathSync(file)) === blobs

/**
 * Graphs of other names, or a folder deeper, as some repositories have them: `unet/model_fp16.onnx`, `unet/onnx/model.onnx`, `onnx/unet/model.onnx`; or in ONNX
 * Runtime's own format (`unet/model.ort`).
 */
const listOtherGraphs = (folder: string): string[] =>
	readdirSync(folder, { recursive: true, encoding: 'utf8' })
		.filter((name) => /\.(onnx|ort)$/.test(name) && !/^[^/]+\/model\.onnx$/.test(name) && !unused.has(name.split(path.sep)[0]!))
		.sort()

/** Paths, of which there may be very many. */
export const enumerate = (names: readonly string[]): string => `${names.slice(0, 5).join(', ')}${names.length > 5 ? ' …' : ''}`
