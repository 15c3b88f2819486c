import { statSync } from 'node:fs'
import path from 'node:path'
import { HALF, Graph as Nodes } from '../../worker-gpu/onnx/graph.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Declared } from '../../worker-gpu/onnx/new-node.ts'
import type { Port } from '../../worker-gpu/onnx/part.ts'
import { type Field, ProtobufFile } from '../../worker-gpu/onnx/protobuf.ts'
import { volume } from '../../worker-gpu/onnx/tensor.ts'
import { LARGEST_BATCH } from './invariance.ts'
import { refusePointer } from './lfs.ts'

/** What a `model.onnx` says of itself, before anything runs it. */
export interface Graph {
	readonly file: string
	readonly inputs: ReadonlyMap<string, Port>
	readonly outputs: ReadonlyMap<string, Port>
	/** How many channels inputs have whose first convolution says it. */
	readonly convolved: ReadonlyMap<string, number | undefined>
	/** Whether any of its weights is in float16. */
	readonly half: boolean
	/** Files that hold weights in its place, relative to its folder. */
	readonly external: readonly string[]
	/** Bytes of the graph and of those files. */
	readonly size: number
}

/** Fields of onnx.proto that lead to others: github.com/onnx/onnx/blob/main/onnx/onnx.proto. */
type Message = { readonly [field: number]: () => Message }
const Tensor: Message = {}
const Sparse: Message = { 1: () => Tensor, 2: () => Tensor }
const Node: Message = { 5: () => Attribute }
const Attribute: Message = {
	5: () => Tensor,
	6: () => GraphMessage,
	10: () => Tensor,
	11: () => GraphMessage,
	22: () => Sparse,
	23: () => Sparse
}
const GraphMessage: Message = { 1: () => Node, 5: () => Tensor, 15: () => Sparse }
const Training: Message = { 1: () => GraphMessage, 2: () => GraphMessage }
const LocalFunction: Message = { 7: () => Node, 11: () => Attribute }
const Model: Message = { 7: () => GraphMessage, 20: () => Training, 25: () => LocalFunction }

/** Numbers in an input that is made up to see what a graph does with it; where it leaves an axis free, that is as long as the most rows. */
const MOST_NUMBERS = 2 ** 28

/** Graphs within graphs (If, Loop) hardly ever go deeper than two; a hostile file goes as deep as it likes. */
const MOST_NESTED = 40

/**
 * Reads a graph's ports and finds the files that it refers to, never its weights. Throws a ModelError where the file is broken or where a file
 * that it refers to lies elsewhere, is missing, is a link or is too short.
 */
export function readGraph(file: string): Graph {
	const proto = new ProtobufFile(file)
	try {
		const external = new Map<string, number>()
		findExternal(proto, Model, 0, proto.size, 0, (location, end) => {
			external.set(location, Math.max(end, external.get(location) ?? 0))
		})
		let size = proto.size
		for (const [location, end] of external) {
			size += externalSize(file, location, end)
		}
		if (![...proto.fields()].some(({ number }) => number === 7)) {
			throw new ModelError(file, 'expected an ONNX graph, got a file without one')
		}
		return { file, ...portsOf(file), external: [...external.keys()], size }
	} finally {
		proto.close()
	}
}

function portsOf(file: string): Pick<Graph, 'inputs' | 'outputs' | 'convolved' | 'half'> {
	const graph = new Nodes(file)
	try {
		const { inputs, outputs, weights } = graph
		for (const name of inputs) {
			const { dims = [] } = graph.inputOf(name)
			if (volume(dims.map((dim) => (typeof dim === 'number' ? dim : 2 * LARGEST_BATCH))) > MOST_NUMBERS) {
				throw new ModelError(file, `expected the input ${name} with at most ${MOST_NUMBERS} numbers, got [${dims.join(', ')}]`)
			}
		}
		const portOf = ({ type, dims = [] }: Declared): Port => ({
			type: typeName(type),
			dims: dims.map((dim) => (dim === '' ? '?' : dim))
		})
		return {
			inputs: new Map(inputs.map((name) => [name, portOf(graph.inputOf(name))])),
			outputs: new Map(outputs.map((name) => [name, portOf(graph.outputOf(name))])),
			convolved: new Map(inputs.map((name) => [name, convolvedChannels(graph, name)] as const)),
			half: weights.some((name) => graph.weightType(name) === HALF)
		}
	} finally {
		graph.close()
	}
}

/** Of the convolution that reads an input, perhaps as another type or as whole numbers: its weights are [channels out, channels in, height, width]. */
function convolvedChannels(graph: Nodes, name: string): number | undefined {
	const readers = (value: string) => graph.users.get(value) ?? []
	const casts = readers(name).filter(({ operator }) => ['Cast', 'DynamicQuantizeLinear'].includes(operator))
	const all = [...readers(name), ...casts.flatMap(({ outputs: [cast] }) => readers(cast!))]
	const [, weights] = all.find(({ operator }) => ['Conv', 'ConvInteger'].includes(operator))?.inputs ?? []
	return weights ? graph.dims(weights)?.[1] : undefined
}

/** How many channels an input has: exports of Optimum 1.17 and before leave them free, and those of diffusers' own script. */
export function channelsOf({ inputs, convolved }: Graph, name: string): number | undefined {
	const declared = inputs.get(name)?.dims[1]
	return typeof declared === 'number' ? declared : convolved.get(name)
}

/** Calls `found` for each tensor whose data lies in another file, with the byte there where it ends. */
function findExternal(
	proto: ProtobufFile,
	message: Message,
	from: number,
	to: number,
	depth: number,
	found: (location: string, end: number) => void
): void {
	if (depth > MOST_NESTED) {
		throw new ModelError(proto.file, `expected graphs nested at most ${MOST_NESTED} messages deep, got more`)
	}
	if (message === Tensor) {
		const entries = new Map<string, string>()
		for (const field of proto.fields(from, to)) {
			if (field.number === 13 && field.wire === 2) {
				entries.set(nameOf(proto, field, 1), nameOf(proto, field, 2))
			}
		}
		const location = entries.get('location')
		if (location !== undefined) {
			found(location, Number(entries.get('offset') ?? 0) + Number(entries.get('length') ?? 0))
		}
		return
	}
	for (const field of proto.fields(from, to)) {
		const inner = field.wire === 2 && message[field.number]
		if (inner) {
			findExternal(proto, inner(), field.from, field.to, depth + 1, found)
		}
	}
}

function externalSize(file: string, location: string, end: number): number {
	const shown = JSON.stringify(location)
	if (location === '' || /[\\:\0]/.test(location) || path.isAbsolute(location) || location.split(path.sep).includes('..')) {
		throw new ModelError(file, `expected weights in files beside the graph, got ${shown}, which leads elsewhere`)
	}
	const weights = path.join(path.dirname(file), location)
	const stat = statSync(weights, { throwIfNoEntry: false })
	if (!stat?.isFile()) {
		throw new ModelError(
			file,
			`expected its weights in ${shown} beside it, found ${stat ? 'no plain file' : 'no file'} of that name`
		)
	}
	refusePointer(weights)
	if (!Number.isSafeInteger(end) || end < 0 || end > stat.size) {
		throw new ModelError(file, `expected ${shown} to hold at least ${end} bytes of weights, got ${stat.size}: it was cut off`)
	}
	return stat.size
}

/** The text of a message's field, empty where it has none. */
export function nameOf(proto: ProtobufFile, { from, to }: Field, number: number): string {
	for (const field of proto.fields(from, to)) {
		if (field.number === number && field.wire === 2) {
			return proto.text(field)
		}
	}
	return ''
}

/** Of TensorProto.DataType, as ONNX Runtime has it. */
export const typeName = (type: number): string => TYPES[type] ?? `type ${type}`

const TYPES: Readonly<Record<number, string>> = {
	1: 'float32',
	6: 'int32',
	7: 'int64',
	9: 'bool',
	10: 'float16',
	11: 'float64',
	16: 'bfloat16'
}
