import path from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import { oneLine } from '../one-line.ts'
import { fusedAttention } from './attention.ts'
import { movedBiases } from './biases.ts'
import { sharedByBranches } from './branches.ts'
import { isOutOfMemory } from './out-of-memory.ts'
import type { Port } from './part.ts'
import { cutProjections } from './projections.ts'
import type { Provider } from './provider.ts'
import { rewritten, type Shapes } from './rewritten.ts'
import { wholeSines } from './sines.ts'
import { mergedTimesteps, unspreadTimesteps } from './timesteps.ts'
import { phasedUpsampling } from './upsampling.ts'

/** A graph in ONNX Runtime's memory: in this thread, or in one of its own (session-thread.ts). */
export interface Session {
	readonly inputs: ReadonlyMap<string, Port>
	readonly outputs: ReadonlyMap<string, Port>
	/** @param begins called when its turn comes */
	run(feeds: Readonly<Record<string, Values>>, outputs: readonly string[], begins: () => void): Promise<Ran>
	release(): Promise<void>
}

/** A tensor in the graph's own type; float16 as Uint16Array or Float16Array. */
export interface Values {
	readonly type: string
	readonly data: Tensor['data']
	readonly dims: readonly number[]
}

export interface Ran {
	/** In the order that they were asked for. */
	readonly outputs: readonly Values[]
	/** Inside ONNX Runtime. */
	readonly milliseconds: number
}

/** What graphs are rewritten by. On CUDA nobody has measured yet what upsampling in phases gains, nor what those would that are left out there. */
export const REWRITES = {
	cpu: [fusedAttention, cutProjections, phasedUpsampling, wholeSines, sharedByBranches],
	cuda: [fusedAttention, cutProjections, phasedUpsampling, movedBiases, mergedTimesteps, unspreadTimesteps]
}

/** What a session is opened by; a structured clone of it is as good. */
export interface Opening extends Pick<Provider, 'name' | 'sessionOptions'> {
	/** Of its inputs at every call, where they are known: what computes with shapes is left out then. */
	readonly shapes?: Shapes | undefined
}

/**
 * Opens a `model.onnx` in this thread, which then does nothing else while a call runs: `run()` is a promise around a call that blocks it.
 *
 * @param begins called when its turn comes
 */
export async function openSession(file: string, provider: Opening, begins: () => void): Promise<Session> {
	begins()
	const session = await createSession(file, provider)
	return {
		inputs: ports(session.inputMetadata),
		outputs: ports(session.outputMetadata),
		async run(feeds, outputs, begins) {
			begins()
			const tensors = Object.fromEntries(Object.entries(feeds).map(([name, values]) => [name, toTensor(values)]))
			const began = performance.now()
			const results = await session.run(tensors, outputs)
			const milliseconds = performance.now() - began
			return { outputs: outputs.map((name) => valuesOf(results[name]!)), milliseconds }
		},
		release: () => session.release()
	}
}

/** Of the graph as it is rewritten for those shapes, or for any; or as it is, where ONNX Runtime takes none of them: operators of old opsets are others. */
async function createSession(file: string, { name, sessionOptions, shapes }: Opening): Promise<InferenceSession> {
	// A graph in memory does not say where the weights are that lie beside it.
	const beside = { 'session.model_external_initializers_file_folder_path': path.dirname(file) }
	const options = { ...sessionOptions, extra: { ...sessionOptions.extra, ...beside } }
	const refused: Error[] = []
	const opened = async () => {
		for (const given of shapes ? [shapes, undefined] : [undefined]) {
			const graph = rewritten(file, REWRITES[name], given)
			try {
				if (graph) {
					return await InferenceSession.create(graph, options)
				}
			} catch (error) {
				if (isOutOfMemory(error)) {
					throw error
				}
				refused.push(error as Error)
			}
		}
		return InferenceSession.create(file, sessionOptions)
	}
	const session = await opened()
	const [why] = refused
	// Where it opens in neither way for its shape, that was told when it was opened for any.
	if (why && !(shapes && refused.length > 1)) {
		const how = shapes ? 'for any shape, for it does not open for its own' : 'as it is, for it does not open as it was rewritten'
		console.warn(oneLine(`${file}: opened ${how} (${why.message})`))
	}
	return session
}

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
/** Before Node.js 24.9 memory that threads share is none that native code can be given ("Invalid argument"): then it is copied. */
const takesShared = major > 24 || (major === 24 && minor >= 9)

/**
 * Where JavaScript has Float16Array, a tensor's data becomes one, whose length ONNX Runtime 1.30 takes for 0 ("not enough space:
 * expected 128, got 0", microsoft/onnxruntime#32323). It reads the bits from a Uint16Array.
 */
function toTensor({ type, data: given, dims }: Values): Tensor {
	const data = takesShared ? given : given.slice()
	const tensor = new Tensor(type as Tensor.Type, data, dims)
	return type === 'float16' ? Object.defineProperty(tensor, 'data', { value: data }) : tensor
}

/** A tensor is an object of ONNX Runtime's own, which no other thread can be given. */
const valuesOf = ({ type, data, dims }: Tensor): Values => ({ type, data, dims })

function ports(metadata: readonly InferenceSession.ValueMetadata[]): Map<string, Port> {
	return new Map(
		metadata.map((value) => [
			value.name,
			value.isTensor ? { type: value.type, dims: value.shape } : { type: 'no tensor', dims: [] }
		])
	)
}
