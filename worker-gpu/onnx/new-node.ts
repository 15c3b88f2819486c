import { bytesField, varintField } from './protobuf.ts'

/** A node to be written into a graph, in the place of another one or before it. Fields of onnx.proto are named by number, as in graph.ts. */
export interface NewNode {
	/** Of ONNX's own, or with its domain before it. */
	readonly operator: string
	readonly inputs: readonly string[]
	readonly outputs: readonly string[]
	/** AttributeProto messages. */
	readonly attributes: readonly Buffer[]
}

/** Operators beyond ONNX's own, which ONNX Runtime has for every provider. */
export const MICROSOFT = 'com.microsoft'

/** Of one output. ONNX's own operators, or those of another domain. */
export const newNode = (
	operator: string,
	inputs: readonly string[],
	output: string,
	attributes: readonly Buffer[] = []
): NewNode => ({ operator, inputs, outputs: [output], attributes })

/** NodeProto { input = 1, output = 2, name = 3, op_type = 4, attribute = 5, domain = 7 } */
export function encoded({ operator, inputs, outputs, attributes }: NewNode): Buffer {
	const dot = operator.lastIndexOf('.')
	return Buffer.concat([
		...inputs.map((name) => bytesField(1, name)),
		...outputs.map((name) => bytesField(2, name)),
		bytesField(3, `${outputs[0]}/${operator.slice(dot + 1)}`),
		bytesField(4, operator.slice(dot + 1)),
		...attributes.map((attribute) => bytesField(5, attribute)),
		bytesField(7, operator.slice(0, Math.max(0, dot)))
	])
}

/** What a graph says of a value. */
export interface Declared {
	/** Its number in onnx.proto: 1 float32, 7 int64. */
	readonly type: number
	/** A number where an axis is fixed, a name where it is free, which may be empty; undefined where nothing is said of them. */
	readonly dims: readonly (number | string)[] | undefined
}

/** ValueInfoProto { name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1 { dim_value = 1, dim_param = 2 } } } } } */
export function declaration(name: string, { type, dims }: Declared): Buffer {
	const sizes = dims?.map((dim) => (typeof dim === 'number' ? varintField(1, dim) : dim === '' ? '' : bytesField(2, dim)))
	const shape = sizes ? [bytesField(2, Buffer.concat(sizes.map((size) => bytesField(1, size))))] : []
	return Buffer.concat([bytesField(1, name), bytesField(2, bytesField(1, Buffer.concat([varintField(1, type), ...shape])))])
}

/** A vector of whole numbers: TensorProto { dims = 1, data_type = 2, raw_data = 9 } as the attribute `value` { t = 5, type = 20 }. */
export function constantNode(values: readonly number[], output: string): NewNode {
	const raw = Buffer.from(BigInt64Array.from(values, BigInt).buffer)
	const tensor = Buffer.concat([varintField(1, values.length), varintField(2, 7), bytesField(9, raw)])
	return newNode('Constant', [], output, [Buffer.concat([bytesField(1, 'value'), bytesField(5, tensor), varintField(20, 4)])])
}

/** AttributeProto { name = 1, i = 3, ints = 8, type = 20 } of one whole number or several. */
export const attribute = (name: string, value: number | readonly number[]): Buffer =>
	typeof value === 'number'
		? Buffer.concat([bytesField(1, name), varintField(3, value), varintField(20, 2)])
		: Buffer.concat([bytesField(1, name), ...value.map((one) => varintField(8, one)), varintField(20, 7)])
