import { FLOAT, Graph, HALF, type Node } from '../../worker-gpu/onnx/graph.ts'
import { ModelError } from '../../worker-gpu/onnx/model-error.ts'
import { newNode } from '../../worker-gpu/onnx/new-node.ts'
import type { Port } from '../../worker-gpu/onnx/part.ts'
import { typeName } from './graph.ts'

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
 * Copies a U-Net's graph to `target` with the input `timestep` as one float for each row, [batch_size].
 *
 * The tracer bakes diffusers' `get_time_embed` into the graph: a scalar is made a vector (Unsqueeze), which is expanded to the batch and cast to
 * float32. So the Unsqueeze becomes an Identity; Expand then takes a vector of the batch's length as it is. A timestep of integers becomes a
 * float where all that it meets until a Cast to one takes any type. What that does must be proven by running both: see prove.ts.
 *
 * Throws a ModelError where the timestep goes another way.
 */
export function rewriteTimestep(source: string, target: string): void {
	const graph = new Graph(source)
	try {
		const { type: declared, dims = [] } = graph.inputOf('timestep')
		if (dims.length > 1) {
			throw new ModelError(source, `expected the input timestep with rank 0 or 1, got rank ${dims.length}`)
		}
		// onnxruntime.transformers' conversion to float16 makes the one the other.
		const ways = [FLOAT, HALF].map((to) => follow(graph, dims.length === 0, to))
		if (ways.some(({ isFar }) => isFar)) {
			throw new ModelError(
				source,
				`expected the timestep to be computed with after at most ${FAR} nodes that pass it on, got more`
			)
		}
		const { removed, cast } = ways.find(({ cast }) => cast) ?? ways[0]!
		const type = cast ? FLOAT : declared
		if (type !== FLOAT && type !== HALF) {
			const got = typeName(type)
			throw new ModelError(source, `expected the timestep to be cast to float32 or float16 on its way, got ${got} all the way`)
		}
		const nodes = new Map(removed.map((node) => [node, [newNode('Identity', node.inputs.slice(0, 1), node.outputs[0]!)]]))
		graph.write(target, { nodes, inputs: new Map([['timestep', { type, dims: ['batch_size'] }]]) })
	} finally {
		graph.close()
	}
}

/** From the timestep on to where it is computed with, as `float`. */
function follow(graph: Graph, scalar: boolean, float: number): { removed: Node[]; isFar: boolean; cast: boolean } {
	const removed: Node[] = []
	/** UNet2DModel multiplies by as many ones as there are rows: `timesteps * torch.ones(sample.shape[0])`. */
	const spreads = ({ operator, inputs: [, ones = ''] }: Node) =>
		operator === 'Mul' && filling.has(graph.maker.get(ones)?.operator ?? '')
	const passed = new Set<string>()
	/** Whether every way on from the value `name` casts it to that. */
	const walk = (name: string, raised: boolean, cast: boolean): boolean => {
		if ((raised && cast) || passed.size > FAR) {
			return cast
		}
		const users = graph.users.get(name)?.filter(({ operator }) => operator !== 'Shape') ?? []
		const ways = users.map((node) => {
			const [output] = node.outputs
			if (!(passing.has(node.operator) || spreads(node)) || node.inputs[0] !== name || !output || passed.has(output)) {
				return cast
			}
			passed.add(output)
			const raises = !raised && raising.has(node.operator)
			const toFloat = cast || (node.operator === 'Cast' && graph.integers(node, 'to')[0] === float)
			if (raises || (!toFloat && (node.operator === 'Cast' || spreads(node)))) {
				removed.push(node)
			}
			return walk(output, raised || raises || node.operator === 'Expand' || spreads(node), toFloat)
		})
		return ways.length > 0 && ways.every(Boolean)
	}
	const cast = walk('timestep', !scalar, false)
	// A cast to another type on the way to it would round what is a float32 now, and ones are of the type that it was; elsewhere both have their purpose.
	return { removed: removed.filter((node) => cast || raising.has(node.operator)), isFar: passed.size > FAR, cast }
}
