import { type Declared, declaration } from '../onnx/new-node.ts'
import { bytesField, varintField } from '../onnx/protobuf.ts'

/** What a graph that is written by hand is made of. */
interface NewGraph {
	/** NodeProto messages, in their order. */
	readonly nodes: readonly Buffer[]
	/** TensorProto messages. */
	readonly weights?: readonly Buffer[]
	readonly inputs?: Readonly<Record<string, Declared>>
	readonly outputs: Readonly<Record<string, Declared>>
}

/** A `model.onnx`: ModelProto { ir_version = 1, graph = 7, opset_import = 8 { version = 2 } } */
export const newModel = (graph: NewGraph): Buffer =>
	Buffer.concat([varintField(1, 8), bytesField(7, newGraph(graph)), bytesField(8, varintField(2, 17))])

/** GraphProto { node = 1, name = 2, initializer = 5, input = 11, output = 12 } */
export function newGraph({ nodes, weights = [], inputs = {}, outputs }: NewGraph): Buffer {
	const ports = (number: number, declared: Readonly<Record<string, Declared>>) =>
		Object.entries(declared).map(([name, port]) => bytesField(number, declaration(name, port)))
	return Buffer.concat([
		...nodes.map((node) => bytesField(1, node)),
		bytesField(2, 'graph'),
		...weights.map((tensor) => bytesField(5, tensor)),
		...ports(11, inputs),
		...ports(12, outputs)
	])
}

/** TensorProto { dims = 1, data_type = 2, name = 8 }, and `numbers`, the fields that its numbers are in. */
export const newWeights = (name: string, type: number, dims: readonly number[], ...numbers: readonly Buffer[]): Buffer =>
	Buffer.concat([...dims.map((dim) => varintField(1, dim)), varintField(2, type), bytesField(8, name), ...numbers])
