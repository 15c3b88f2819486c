import type { Graph, Node, Rewrite } from './graph.ts'
import { constantNode, type NewNode, newNode } from './new-node.ts'

/**
 * GEGLU projects to twice its width and cuts the result in halves, each of which is copied. Two projections with half of the weights each give the same
 * bits without a copy; ONNX Runtime cuts weights while it loads. On the demo network that saves 4 % of a call of sixteen evaluations.
 */
export const cutProjections: Rewrite = (graph) =>
	new Map(graph.nodes.flatMap((node) => (node.operator === 'Slice' ? cut(graph, node) : [])))

/** (xW + b)[…, from:to] → xW[:, from:to] + b[from:to] */
function cut(graph: Graph, slice: Node): [slice: Node, instead: NewNode[]][] {
	const [whole = '', starts = '', ends = '', axes = '', steps] = slice.inputs
	const sum = graph.maker.get(whole)
	const product = sum?.inputs.map((name) => graph.maker.get(name)).find((node) => node?.operator === 'MatMul')
	const bias = sum?.inputs.find((name) => name !== product?.outputs[0])
	if (sum?.operator !== 'Add' || !product || bias === undefined) {
		return []
	}
	const [x, weights] = product.inputs as [string, string]
	const [width = 0, ...more] = graph.dims(bias) ?? []
	const matrix = graph.dims(weights)
	if (more.length > 0 || matrix?.length !== 2 || matrix[1] !== width) {
		return []
	}
	const last = graph.constant(axes)?.join() === '-1' && (steps === undefined || graph.constant(steps)?.join() === '1')
	const from = sizeOf(graph, starts, whole, width)
	const to = Math.min(sizeOf(graph, ends, whole, width), width)
	if (!last || !(from >= 0 && from < to && to - from < width)) {
		return []
	}
	const [out] = slice.outputs as [string]
	const at = (name: string) => `${out}/${name}`
	return [
		[
			slice,
			[
				constantNode([from], at('from')),
				constantNode([to], at('to')),
				constantNode([1], at('axis')),
				newNode('Slice', [weights, at('from'), at('to'), at('axis')], at('W')),
				newNode('Slice', [bias, at('from'), at('to')], at('b')),
				newNode('MatMul', [x, at('W')], at('xW')),
				newNode('Add', [at('xW'), at('b')], out)
			]
		]
	]
}

/** A number that is computed from constants and the width of `whole`, its last dimension; NaN where it is not. */
function sizeOf(graph: Graph, name: string, whole: string, width: number): number {
	const [constant] = graph.constant(name) ?? []
	const node = graph.maker.get(name)
	if (constant !== undefined || !node) {
		return constant ?? Number.NaN
	}
	const [first, second] = node.inputs as [string, string]
	const operand = (name: string) => sizeOf(graph, name, whole, width)
	switch (node.operator) {
		case 'Gather': {
			const shape = graph.maker.get(first)
			const ofLast = shape?.operator === 'Shape' && shape.inputs[0] === whole && graph.constant(second)?.join() === '-1'
			return ofLast ? width : Number.NaN
		}
		case 'Add':
			return operand(first) + operand(second)
		case 'Mul':
			return operand(first) * operand(second)
		case 'Div':
			return Math.floor(operand(first) / operand(second))
		default:
			return Number.NaN
	}
}
