import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import type { Port } from '../../worker-gpu/onnx/part.ts'
import { bytesField, type Field, ProtobufFile } from '../../worker-gpu/onnx/protobuf.ts'
import { FLOAT, FLOAT16, GRAPH, MODEL, nameOf, readPort } from './graph.ts'
import { asItIs, type Piece, port, writeGraph } from './write-graph.ts'

/** A node, as far as it matters here. */
interface Node {
	readonly operator: string
	readonly inputs: readonly string[]
	readonly outputs: readonly string[]
	/** Of a Cast: the element type of its result. */
	readonly to: number | undefined
}

/** Operators that pass a timestep on in another shape or type. The timestep is their first input. */
const passing = new Set(['Cast', 'Expand', 'Identity', 'Reshape', 'Squeeze', 'Unsqueeze'])
/** The first of these makes a vector of a scalar. */
const raising = new Set(['Reshape', 'Unsqueeze'])
/** Operators that make as many of one number as are asked for. */
const filling = new Set(['ConstantOfShape', 'Expand'])

/** A hostile graph passes it on as often as it likes. */
const FAR = 100

/** Whether rows of a batch can stand at different timesteps already. */
export const isPerRow = ({ type, dims }: Port): boolean =>
	(type === 'float32' || type === 'float16') && dims.length === 1 && typeof dims[0] === 'string'

/**
 * Copies a U-Net's graph to `target` with the input `timestep` as one float for each row, [batch_size]. All else is copied byte for byte,
 * and never held in memory.
 *
 * The tracer bakes diffusers' `get_time_embed` into the graph: a scalar is made a vector (Unsqueeze), which is expanded to the batch and cast to
 * float32. So the Unsqueeze becomes an Identity; Expand then takes a vector of the batch's length as it is. A timestep of integers becomes a
 * float where all that it meets until a Cast to one takes any type. What that does must be proven by running both: see prove.ts.
 *
 * Throws a ModelError where the timestep goes another way.
 */
export async function rewriteTimestep(source: string, target: string): Promise<void> {
	const proto = new ProtobufFile(source)
	try {
		const outer = [...proto.fields()].find(({ number }) => number === MODEL.graph)!
		const graph = [...proto.fields(outer.from, outer.to)]
		const input = graph.find((field) => field.number === GRAPH.input && nameOf(proto, field, 1) === 'timestep')
		if (!input) {
			throw new ModelError(source, 'expected an input timestep, found none')
		}
		const [, declared] = readPort(proto, input)
		const rank = declared.dims.length
		if (rank > 1) {
			throw new ModelError(source, `expected the input timestep with rank 0 or 1, got rank ${rank}`)
		}
		const nodes = new Map(graph.filter(({ number }) => number === GRAPH.node).map((field) => [field, readNode(proto, field)]))
		// onnxruntime.transformers' conversion to float16 makes the one the other.
		const ways = [FLOAT, FLOAT16].map((to) => follow([...nodes.values()], rank === 0, to))
		if (ways.some(({ passed }) => passed.size > FAR)) {
			throw new ModelError(
				source,
				`expected the timestep to be computed with after at most ${FAR} nodes that pass it on, got more`
			)
		}
		const { removed, passed, cast } = ways.find(({ cast }) => cast) ?? ways[0]!
		// Shapes and axes that only a removed node asked for.
		const asked = [...nodes.values()].flatMap((node) => (removed.has(node) ? [] : node.inputs))
		const orphans = new Set([...removed].flatMap(({ inputs: [, shape] }) => (shape && !asked.includes(shape) ? [shape] : [])))
		const type = cast ? 'float32' : declared.type
		if (type !== 'float32' && type !== 'float16') {
			throw new ModelError(source, `expected the timestep to be cast to float32 or float16 on its way, got ${type} all the way`)
		}

		const pieces = graph.flatMap((field): Piece[] => {
			if (field === input) {
				return [bytesField(GRAPH.input, port('timestep', type === 'float32' ? FLOAT : FLOAT16, ['batch_size']))]
			}
			const node = nodes.get(field)
			if (node && removed.has(node)) {
				return [bytesField(GRAPH.node, identity(node))]
			}
			if (
				(node && orphans.has(node.outputs[0]!)) ||
				(field.number === GRAPH.initializer && orphans.has(nameOf(proto, field, 8)))
			) {
				return []
			}
			// Shapes and types that were noted for what the timestep passes through no longer hold. They are hints, and inferred again.
			const stale = field.number === GRAPH.valueInfo && passed.has(nameOf(proto, field, 1))
			return stale ? [] : [asItIs(field)]
		})
		await writeGraph(proto, target, pieces)
	} finally {
		proto.close()
	}
}

/** From the timestep on to where it is computed with, as `float`. */
function follow(
	nodes: readonly Node[],
	scalar: boolean,
	float: number
): { removed: Set<Node>; passed: Set<string>; cast: boolean } {
	const removed: Node[] = []
	const makers = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node])))
	/** UNet2DModel multiplies by as many ones as there are rows: `timesteps * torch.ones(sample.shape[0])`. */
	const spreads = ({ operator, inputs: [, ones = ''] }: Node) =>
		operator === 'Mul' && filling.has(makers.get(ones)?.operator ?? '')
	const asking = new Map<string, Node[]>()
	for (const node of nodes.filter(({ operator }) => operator !== 'Shape')) {
		for (const input of new Set(node.inputs)) {
			const others = asking.get(input)
			others ? others.push(node) : asking.set(input, [node])
		}
	}
	const passed = new Set<string>()
	/** Whether every way on from the value `name` casts it to that. */
	const walk = (name: string, raised: boolean, cast: boolean): boolean => {
		if ((raised && cast) || passed.size > FAR) {
			return cast
		}
		const ways = (asking.get(name) ?? []).map((node) => {
			const [output] = node.outputs
			if (!(passing.has(node.operator) || spreads(node)) || node.inputs[0] !== name || !output || passed.has(output)) {
				return cast
			}
			passed.add(output)
			const raises = !raised && raising.has(node.operator)
			const toFloat = cast || (node.operator === 'Cast' && node.to === float)
			if (raises || (!toFloat && (node.operator === 'Cast' || spreads(node)))) {
				removed.push(node)
			}
			return walk(output, raised || raises || node.operator === 'Expand' || spreads(node), toFloat)
		})
		return ways.length > 0 && ways.every(Boolean)
	}
	const cast = walk('timestep', !scalar, false)
	// A cast to another type on the way to it would round what is a float32 now, and ones are of the type that it was; elsewhere both have their purpose.
	return { removed: new Set(removed.filter((node) => cast || raising.has(node.operator))), passed, cast }
}

/** NodeProto { input = 1, output = 2, name = 3, op_type = 4, attribute = 5 { name = 1, i = 3 } } */
function readNode(proto: ProtobufFile, field: Field): Node {
	const [inputs, outputs]: [string[], string[]] = [[], []]
	let operator = ''
	let to: number | undefined
	for (const inner of proto.fields(field.from, field.to)) {
		if (inner.number === 1) {
			inputs.push(proto.text(inner))
		} else if (inner.number === 2) {
			outputs.push(proto.text(inner))
		} else if (inner.number === 4) {
			operator = proto.text(inner)
		} else if (inner.number === 5 && nameOf(proto, inner, 1) === 'to') {
			to = [...proto.fields(inner.from, inner.to)].find(({ number }) => number === 3)?.value
		}
	}
	return { operator, inputs, outputs, to }
}

const identity = ({ inputs, outputs }: Node): Buffer =>
	Buffer.concat([bytesField(1, inputs[0]!), bytesField(2, outputs[0]!), bytesField(4, 'Identity')])
