import type { Graph, Node, Rewrite } from './graph.ts'
import { attribute, constantNode, type NewNode, newNode } from './new-node.ts'

/**
 * Each residual block projects the timestep's embedding by itself. On CUDA that is two kernels for next to no work, for ONNX Runtime writes a Gemm's bias to all rows by a
 * product of its own (core/providers/cuda/math/gemm.cc), and a call of few rows waits for each to be launched. So one projection by all weights makes what is then cut
 * into theirs. Before opset 13 Split is another operator.
 */
export const mergedTimesteps: Rewrite = (graph, earlier) => {
	const { nodes } = graph.needed(earlier)
	const projections = graph.opset < 13 ? [] : graph.nodes.filter((node) => nodes.has(node) && isProjection(graph, node))
	const alike = Map.groupBy(projections, (node) => {
		const [x, weights = ''] = node.inputs
		const attributes = graph.copyOf(node).attributes.map((bytes) => bytes.toString('hex'))
		return [x, graph.dims(weights)![1], ...attributes.sort()].join(' ')
	})
	return new Map(
		[...alike.values()].flatMap((all) =>
			all.length > 1 ? all.map((node, i): [Node, NewNode[]] => [node, i === 0 ? merged(graph, all) : []]) : []
		)
	)
}

/** xWᵀ + b, with a number of b for each row of W. */
function isProjection(graph: Graph, node: Node): boolean {
	const [, weights = '', bias = ''] = node.inputs
	const [rows, columns] = graph.dims(weights) ?? []
	const isTurned = graph.integers(node, 'transB')[0] === 1 && graph.integers(node, 'transA')[0] !== 1
	return node.operator === 'Gemm' && isTurned && columns !== undefined && graph.dims(bias)?.join() === `${rows}`
}

function merged(graph: Graph, projections: readonly Node[]): NewNode[] {
	const { inputs, outputs, ...first } = graph.copyOf(projections[0]!)
	const at = (name: string) => `${outputs[0]}/${name}`
	const together = (input: number, name: string) => {
		const all = projections.map(({ inputs }) => inputs[input]!)
		return newNode('Concat', all, at(name), [attribute('axis', 0)])
	}
	return [
		together(1, 'weights'),
		together(2, 'biases'),
		{ ...first, inputs: [inputs[0]!, at('weights'), at('biases')], outputs: [at('all')] },
		constantNode(
			projections.map(({ inputs: [, weights = ''] }) => graph.dims(weights)![0]!),
			at('widths')
		),
		{
			operator: 'Split',
			inputs: [at('all'), at('widths')],
			outputs: projections.flatMap(({ outputs }) => outputs),
			attributes: [attribute('axis', 1)]
		}
	]
}

/**
 * diffusers spreads one timestep over as many rows as the latent has (`timesteps.expand(sample.shape[0])`); here each has its own. ONNX Runtime leaves out an Expand that does nothing, but
 * not one of an input (`CanRemoveNode` in core/graph/graph_utils.cc): on CUDA it is a kernel and a copy.
 */
export const unspreadTimesteps: Rewrite = (graph) =>
	new Map(
		graph.nodes.flatMap((node): [Node, NewNode[]][] => {
			const [of = '', to = ''] = node.inputs
			if (node.operator !== 'Expand' || !graph.inputs.includes(of)) {
				return []
			}
			// Axes that have one name are equally long.
			const { dims } = graph.inputOf(of)
			const isNothing = dims?.length === 1 && dims[0] === rowsOf(graph, to)
			return isNothing ? [[node, [newNode('Identity', [of], node.outputs[0]!)]]] : []
		})
	)

/** The first axis of an input, as it is declared, whose length is all that a vector holds; undefined for any other. */
function rowsOf(graph: Graph, name: string): string | number | undefined {
	const node = graph.maker.get(name)
	const [of = '', second = '', third = ''] = node?.inputs ?? []
	switch (node?.operator) {
		case 'Where': // torch's -1, which no length is, keeps an axis as it is.
			return isMinusOne(graph, graph.maker.get(of), third) ? rowsOf(graph, third) : undefined
		case 'Concat':
			return node.inputs.length === 1 ? rowsOf(graph, of) : undefined
		case 'Reshape':
		case 'Unsqueeze':
			return rowsOf(graph, of)
		case 'Gather': {
			const shape = graph.maker.get(of)
			const isFirst = shape?.operator === 'Shape' && !graph.integers(shape, 'start')[0] && graph.constant(second)?.join() === '0'
			return isFirst && graph.inputs.includes(shape.inputs[0]!) ? graph.inputOf(shape.inputs[0]!).dims?.[0] : undefined
		}
		default:
			return undefined
	}
}

/** Whether a node compares that value with -1, which some exporters write as 1 · -1. */
function isMinusOne(graph: Graph, node: Node | undefined, value: string): boolean {
	const [one, other = ''] = node?.operator === 'Equal' ? node.inputs : []
	const product = graph.maker.get(other)
	const compared = graph.constant(product?.operator === 'Mul' ? product.inputs[1]! : other)
	return one === value && compared?.join() === '-1'
}
