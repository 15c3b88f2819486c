import { closeSync, openSync, writeFileSync } from 'node:fs'
import { fromHalf } from './half.ts'
import { type Declared, declaration, encoded, MICROSOFT, type NewNode } from './new-node.ts'
import { bytesField, type Field, ProtobufFile, varint, varintField } from './protobuf.ts'
import { volume } from './tensor.ts'

/** A node of a graph that lies in a file. Fields of onnx.proto are named by number: github.com/onnx/onnx/blob/main/onnx/onnx.proto. */
export interface Node {
	readonly operator: string
	readonly inputs: readonly string[]
	readonly outputs: readonly string[]
	/** Where each attribute's message lies. */
	readonly attributes: ReadonlyMap<string, Field>
}

/** The nodes that stand for others, each list in its order, with their outputs among its own. */
export type Replaced = ReadonlyMap<Node, readonly NewNode[]>

/** Finds what can be said better. `earlier` is what rewrites before it found; where it finds something for the same node, that holds. */
export type Rewrite = (graph: Graph, earlier: Replaced) => Replaced

/** What is to be other in a graph. */
export interface Change {
	/** Nodes in the place of others. What nobody needs any more is left out. */
	readonly nodes: Replaced
	/** Those that are new or declared anew. What is noted of the values that are made of them, which no longer holds, is left out. */
	readonly inputs?: ReadonlyMap<string, Declared>
	/** In the place of others, as they are declared. */
	readonly outputs?: ReadonlyMap<string, Buffer>
}

/** Element types by their numbers in onnx.proto. */
export const [FLOAT, INT64, HALF] = [1, 7, 10]
/** Numbers in the constants that are read; weights have more. */
const MOST_NUMBERS = 8
/** Nodes that weights are cast, scaled and passed on by before they are taken, at most: a graph may be made to lead around in circles. */
const FAR = 8

/**
 * The nodes of a `model.onnx`, to be read and some of them replaced. Weights are looked at only when the whole is put together.
 */
export class Graph {
	/** The version of ONNX's own operators. */
	readonly opset: number
	/** Each after those that it takes from. */
	readonly nodes: readonly Node[]
	/** Which node makes a value. */
	readonly maker: ReadonlyMap<string, Node>
	readonly users: ReadonlyMap<string, readonly Node[]>
	/** What it is given at each run; weights that can be given too are left out. */
	readonly inputs: readonly string[]
	readonly outputs: readonly string[]
	/** Constants that are stored beside the nodes. */
	readonly weights: readonly string[]
	/** Whether a node has graphs of its own (If, Loop), or is defined in the file: those read values that no list of inputs names. */
	readonly nested: boolean
	readonly #proto: ProtobufFile
	readonly #model: readonly Field[]
	readonly #fields: readonly Field[]
	readonly #places: ReadonlyMap<Field, Node>
	readonly #initializers = new Map<string, Field>()
	readonly #inputs = new Map<string, Field>()
	readonly #outputs = new Map<string, Field>()

	constructor(file: string) {
		this.#proto = new ProtobufFile(file)
		this.#model = [...this.#proto.fields()]
		const own = this.#model.find((field) => field.number === 8 && ['', 'ai.onnx'].includes(this.#text(field, 1)))
		this.opset = (own && this.#varints(own, 2)[0]) ?? 0
		const graph = this.#model.find(({ number }) => number === 7)
		this.#fields = graph ? [...this.#proto.fields(graph.from, graph.to)] : []
		this.#places = new Map(this.#fields.flatMap((field) => (field.number === 1 ? [[field, this.#node(field)]] : [])))
		for (const field of this.#fields) {
			if (field.number === 5) {
				this.#initializers.set(this.#text(field, 8), field)
			}
		}
		this.weights = [...this.#initializers.keys()]
		for (const [number, ports] of [
			[11, this.#inputs],
			[12, this.#outputs]
		] as const) {
			for (const field of this.#fields.filter((field) => field.number === number)) {
				ports.set(this.#text(field, 1), field)
			}
		}
		this.inputs = [...this.#inputs.keys()].filter((name) => !this.#initializers.has(name))
		this.outputs = [...this.#outputs.keys()]
		const nodes = [...this.#places.values()]
		// What has no name is an output that is left out.
		this.maker = new Map(nodes.flatMap((node) => node.outputs.flatMap((name) => (name === '' ? [] : [[name, node]]))))
		this.nodes = inOrder(nodes, this.maker)
		const users = new Map<string, Node[]>()
		for (const node of this.nodes) {
			for (const name of new Set(node.inputs)) {
				const known = users.get(name)
				known ? known.push(node) : users.set(name, [node])
			}
		}
		this.users = users
		this.nested =
			this.#model.some(({ number }) => number === 25) ||
			this.nodes.some(({ attributes }) =>
				[...attributes.values()].some((field) => this.#inside(field, 6) !== undefined || this.#inside(field, 11) !== undefined)
			)
	}

	inputOf = (name: string): Declared => this.#declared(this.#inputs.get(name)!)
	outputOf = (name: string): Declared => this.#declared(this.#outputs.get(name)!)

	/** ValueInfoProto { name = 1, type = 2 { tensor_type = 1 { elem_type = 1, shape = 2 { dim = 1 { dim_value = 1, dim_param = 2 } } } } } */
	#declared(declared: Field): Declared {
		const type = this.#inside(declared, 2)
		const tensor = type && this.#inside(type, 1)
		const shape = tensor && this.#inside(tensor, 2)
		return {
			type: (tensor && this.#varints(tensor, 1)[0]) ?? 0,
			dims: shape && [...this.#proto.fields(shape.from, shape.to)].map((dim) => this.#varints(dim, 1)[0] ?? this.#text(dim, 2))
		}
	}

	/** The whole numbers of an attribute, one or several: Softmax's `axis`, Transpose's `perm`. */
	integers(node: Node, attribute: string): number[] {
		const field = node.attributes.get(attribute)
		return field ? [...this.#varints(field, 3), ...this.#varints(field, 8)] : []
	}

	/** A text attribute: Resize's `mode`. Empty where there is none. */
	text(node: Node, attribute: string): string {
		const field = node.attributes.get(attribute)
		return field ? this.#text(field, 4) : ''
	}

	/** The numbers of a value that is a constant of at most eight; undefined for any other. */
	constant(name: string, far = FAR): readonly number[] | undefined {
		const tensor = this.#stored(name)
		const node = this.maker.get(name)
		// Converters to float16 write scales so.
		const isReal = node?.operator === 'Cast' && [FLOAT, HALF].includes(this.integers(node, 'to')[0]!)
		const isMade = far > 0 && (node?.operator === 'Identity' || isReal)
		return tensor ? this.#numbers(tensor) : isMade ? this.constant(node!.inputs[0]!, far - 1) : undefined
	}

	/** The dimensions of weights of any type, however they are stored. */
	dims(name: string, far = FAR): readonly number[] | undefined {
		const tensor = this.#stored(name)
		const node = far > 0 ? this.maker.get(name) : undefined
		const isScaled = node?.operator === 'Mul' && this.dims(node.inputs[1]!, far - 1) !== undefined
		const isMade = isScaled || ['Cast', 'Identity'].includes(node?.operator ?? '')
		return tensor ? this.#varints(tensor, 1) : isMade ? this.dims(node!.inputs[0]!, far - 1) : undefined
	}

	/** The element type of weights as they are computed with, by its number in onnx.proto: as they are stored, cast, or as whole numbers times a scale for each channel. */
	weightType(name: string, far = FAR): number | undefined {
		const tensor = this.#stored(name)
		const node = far > 0 ? this.maker.get(name) : undefined
		if (tensor) {
			return this.#varints(tensor, 2)[0]
		}
		const [cast] = node?.operator === 'Cast' ? this.integers(node, 'to') : []
		return (
			cast ?? (node?.operator === 'Identity' || node?.operator === 'Mul' ? this.weightType(node.inputs[0]!, far - 1) : undefined)
		)
	}

	/** The nodes that are still needed where `replaced` stand for others, and the names of all values that they take. */
	needed(replaced: Replaced): { nodes: ReadonlySet<Node>; names: ReadonlySet<string> } {
		const names = new Set(this.outputs)
		const nodes = new Set<Node>()
		for (const name of names) {
			const node = this.maker.get(name)
			if (node && !nodes.has(node)) {
				nodes.add(node)
				for (const input of inputsOf(node, replaced)) {
					names.add(input) // And is come to in its turn.
				}
			}
		}
		return { nodes, names }
	}

	/** A node as it is, to be written with other names. */
	copyOf({ operator, inputs, outputs, attributes }: Node): NewNode {
		const bytes = [...attributes.values()].map(({ from, to }) => this.#proto.bytes(from, to))
		return { operator, inputs, outputs, attributes: bytes }
	}

	/** The whole file anew. The weights in it may be most of the memory that there is: they are held once. */
	with(change: Change): Buffer {
		const pieces = this.#pieces(change)
		const whole = Buffer.allocUnsafe(lengthOf(pieces))
		let at = 0
		for (const piece of pieces) {
			const end = at + lengthOf([piece])
			if (Buffer.isBuffer(piece)) {
				piece.copy(whole, at)
			} else {
				this.#proto.readInto(whole.subarray(at, end), piece.start)
			}
			at = end
		}
		return whole
	}

	/** The same as a new file, which is never held in memory. */
	write(target: string, change: Change): void {
		const file = openSync(target, 'wx')
		try {
			for (const piece of this.#pieces(change)) {
				for (const part of Buffer.isBuffer(piece) ? [piece] : this.#proto.parts(piece.start, piece.to)) {
					writeFileSync(file, part)
				}
			}
		} finally {
			closeSync(file)
		}
	}

	#pieces({ nodes: replaced, inputs = new Map(), outputs = new Map() }: Change): Piece[] {
		const { nodes: kept, names: needed } = this.needed(replaced)
		const inside = this.#fields.flatMap((field): Piece[] => {
			const node = this.#places.get(field)
			const isNeeded = this.nested || (node ? kept.has(node) : field.number !== 5 || needed.has(this.#text(field, 8)))
			const input = field.number === 11 ? this.#text(field, 1) : undefined
			// Weights that could be given too (IR version 3, `keep_initializers_as_inputs`) are constants from now on.
			const gone = (input !== undefined && this.#initializers.has(input)) || (field.number === 13 && inputs.size > 0)
			const output = field.number === 12 ? outputs.get(this.#text(field, 1)) : undefined
			const declared = inputs.get(input ?? '')
			const instead = declared
				? [bytesField(11, declaration(input!, declared))]
				: node && replaced.get(node)?.map((one) => bytesField(1, encoded(one)))
			return gone || !isNeeded ? [] : (instead ?? [output ? bytesField(12, output) : field])
		})
		const added = [...inputs].filter(([name]) => !this.#inputs.has(name))
		inside.push(...added.map(([name, declared]) => bytesField(11, declaration(name, declared))))
		const has = this.#model.some((field) => field.number === 8 && this.#text(field, 1) === MICROSOFT)
		const pieces = this.#model.flatMap((field) =>
			field.number === 7 ? [varint(7 * 8 + 2), varint(lengthOf(inside)), ...inside] : [field]
		)
		return has ? pieces : [...pieces, bytesField(8, Buffer.concat([bytesField(1, MICROSOFT), varintField(2, 1)]))]
	}

	close(): void {
		this.#proto.close()
	}

	/** NodeProto { input = 1, output = 2, op_type = 4, attribute = 5 { name = 1 }, domain = 7 } */
	#node({ from, to }: Field): Node {
		const [inputs, outputs]: [string[], string[]] = [[], []]
		const attributes = new Map<string, Field>()
		let [operator, domain] = ['', '']
		for (const field of this.#proto.fields(from, to)) {
			if (field.number === 1) {
				inputs.push(this.#proto.text(field))
			} else if (field.number === 2) {
				outputs.push(this.#proto.text(field))
			} else if (field.number === 4) {
				operator = this.#proto.text(field)
			} else if (field.number === 5) {
				attributes.set(this.#text(field, 1), field)
			} else if (field.number === 7) {
				domain = this.#proto.text(field)
			}
		}
		return { operator: domain === '' ? operator : `${domain}.${operator}`, inputs, outputs, attributes }
	}

	/** TensorProto { dims = 1, data_type = 2, float_data = 4, int64_data = 7, raw_data = 9 } */
	#numbers(tensor: Field): readonly number[] | undefined {
		const size = volume(this.#varints(tensor, 1))
		const [type] = this.#varints(tensor, 2)
		if (size > MOST_NUMBERS) {
			return undefined
		}
		const raw = this.#inside(tensor, 9)
		if (!raw) {
			return type === INT64 ? this.#varints(tensor, 7) : undefined
		}
		// Into memory of its own, which begins where any type may.
		const { buffer } = Uint8Array.from(this.#proto.bytes(raw.from, raw.to))
		switch (type) {
			case FLOAT:
				return [...new Float32Array(buffer)]
			case INT64:
				return [...new BigInt64Array(buffer)].map(Number)
			case HALF:
				return [...fromHalf(new Uint16Array(buffer))]
			default:
				return undefined
		}
	}

	/** Of a repeated field, whether it is packed or not. */
	#varints({ from, to }: Field, number: number): number[] {
		return [...this.#proto.fields(from, to)].flatMap((field) => {
			if (field.number !== number) {
				return []
			}
			// Where it is not packed, its tag comes first.
			return field.wire === 0
				? signed(this.#proto.bytes(field.start, field.to)).slice(1)
				: signed(this.#proto.bytes(field.from, field.to))
		})
	}

	/** The TensorProto of an initializer, or of a Constant. */
	#stored(name: string): Field | undefined {
		const node = this.maker.get(name)
		const value = node?.operator === 'Constant' ? node.attributes.get('value') : undefined
		return this.#initializers.get(name) ?? (value && this.#inside(value, 5))
	}

	#inside({ from, to }: Field, number: number): Field | undefined {
		return [...this.#proto.fields(from, to)].find((field) => field.number === number)
	}

	#text(field: Field, number: number): string {
		const found = this.#inside(field, number)
		return found ? this.#proto.text(found) : ''
	}
}

/** As ONNX has them in a file, and ONNX Runtime does without: converters to float16 write what they cast at its end. */
function inOrder(nodes: readonly Node[], maker: ReadonlyMap<string, Node>): Node[] {
	const [seen, order] = [new Set<Node>(), new Set<Node>()]
	for (const node of nodes) {
		const open = [node]
		for (let last = open.at(-1); last; last = open.at(-1)) {
			const before = seen.has(last) ? [] : last.inputs.flatMap((name) => maker.get(name) ?? [])
			const missing = before.filter((other) => !order.has(other))
			seen.add(last)
			if (missing.length > 0) {
				open.push(...missing)
			} else {
				order.add(last)
				open.pop()
			}
		}
	}
	return [...order]
}

/** New bytes, or a field as it lies in the file. */
type Piece = Buffer | Field

const lengthOf = (pieces: readonly Piece[]): number =>
	pieces.reduce((sum, piece) => sum + (Buffer.isBuffer(piece) ? piece.length : piece.to - piece.start), 0)

/** Varints of 64 bits in two's complement. */
function signed(bytes: Buffer): number[] {
	const values: number[] = []
	let [value, shift] = [0n, 0n]
	for (const byte of bytes) {
		value |= BigInt(byte & 0x7f) << shift
		shift += 7n
		if (byte < 0x80) {
			values.push(Number(BigInt.asIntN(64, value)))
			;[value, shift] = [0n, 0n]
		}
	}
	return values
}

/** What a node takes, and what the nodes in its place take that they do not make themselves. */
export function inputsOf(node: Node, replaced: Replaced): string[] {
	const nodes = replaced.get(node) ?? [node]
	const made = new Set(nodes.flatMap(({ outputs }) => outputs))
	return nodes.flatMap(({ inputs }) => inputs.filter((name) => !made.has(name)))
}
