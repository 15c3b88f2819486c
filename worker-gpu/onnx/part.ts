import { existsSync } from 'node:fs'
import path from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import { fusedAttention } from './attention.ts'
import { sharedByBranches } from './branches.ts'
import { type Feed, fromOrt, toOrt } from './convert.ts'
import { ModelError } from './model-error.ts'
import { cutProjections } from './projections.ts'
import type { Provider } from './provider.ts'
import { rewritten } from './rewritten.ts'
import type { Tensor } from './tensor.ts'
import { phasedUpsampling } from './upsampling.ts'

/** One ONNX graph of a model, loaded: `text_encoder`, `unet`, `vae_decoder`. */
export interface Part {
	/** Its folder, for messages. */
	readonly folder: string
	readonly inputs: ReadonlyMap<string, Port>
	readonly outputs: ReadonlyMap<string, Port>
	/** Converts `feeds` to the graph's own types, runs it, and gives the named outputs as float32, in their order. */
	run(feeds: Readonly<Record<string, Feed>>, outputs: readonly string[]): Promise<Tensor[]>
	/** Gives its memory back; it cannot be run any more. */
	release(): Promise<void>
}

/** An input or output as the graph declares it; exporters differ in types and ranks. */
export interface Port {
	readonly type: string
	/** A number where it is fixed, a name where it is free. */
	readonly dims: readonly (number | string)[]
}

/** Counts the milliseconds spent inside ONNX Runtime. */
export interface Stopwatch {
	milliseconds: number
	/** Told before a call. Those of the same name ask the same of the machine: one graph, with inputs of the same shapes. */
	begins?(call: string): void
	ended?(call: string, milliseconds: number): void
}

/** Loads `<folder>/model.onnx`. */
export async function loadPart(folder: string, provider: Provider, stopwatch: Stopwatch): Promise<Part> {
	const file = path.join(folder, 'model.onnx')
	if (!existsSync(file)) {
		throw new ModelError(file, 'expected an ONNX graph, found no file')
	}
	const session = await createSession(file, provider).catch((error: Error) => {
		throw new ModelError(file, `expected an ONNX graph that loads, got: ${error.message}`, { cause: error })
	})
	const inputs = ports(session.inputMetadata)
	const outputs = ports(session.outputMetadata)
	return {
		folder,
		inputs,
		outputs,
		async run(feeds, wanted) {
			const converted = Object.fromEntries(
				Array.from(inputs, ([name, port]) => {
					const feed = feeds[name]
					if (!feed) {
						throw new ModelError(
							folder,
							`expected a graph with the inputs ${Object.keys(feeds).join(', ')}, got one more: ${name}`
						)
					}
					return [name, toOrt(feed, port.type)]
				})
			)
			const call = [folder, ...Object.values(converted).map(({ dims }) => dims)].join(' | ')
			stopwatch.begins?.(call)
			const began = performance.now()
			const results = await session.run(converted, wanted)
			const spent = performance.now() - began
			stopwatch.milliseconds += spent
			stopwatch.ended?.(call, spent)
			return wanted.map((name) => fromOrt(results[name]!))
		},
		release: () => session.release()
	}
}

/** What graphs are rewritten by; on CUDA nobody has measured what the others gain. */
const REWRITES = { cpu: [fusedAttention, cutProjections, phasedUpsampling, sharedByBranches], cuda: [fusedAttention] }

async function createSession(file: string, { name, sessionOptions }: Provider): Promise<InferenceSession> {
	const graph = rewritten(file, REWRITES[name])
	if (!graph) {
		return InferenceSession.create(file, sessionOptions)
	}
	const { extra = {} } = sessionOptions
	// A graph in memory does not say where the weights are that lie beside it.
	const beside = { 'session.model_external_initializers_file_folder_path': path.dirname(file) }
	return InferenceSession.create(graph, { ...sessionOptions, extra: { ...extra, ...beside } })
}

/** The port of that name, or a clear refusal. */
export function port(part: Part, side: 'inputs' | 'outputs', name: string): Port {
	const found = part[side].get(name)
	if (!found) {
		throw new ModelError(part.folder, `expected ${name} among the graph's ${side}, got ${[...part[side].keys()].join(', ')}`)
	}
	return found
}

function ports(metadata: readonly InferenceSession.ValueMetadata[]): Map<string, Port> {
	return new Map(
		metadata.map((value) => [
			value.name,
			value.isTensor ? { type: value.type, dims: value.shape } : { type: 'no tensor', dims: [] }
		])
	)
}
