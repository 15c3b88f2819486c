import type { Graph, Node, Rewrite } from './graph.ts'
import { attribute, constantNode, type NewNode, newNode } from './new-node.ts'

/**
 * A picture that is doubled and then convolved by 3 × 3: every number is there four times, and three taps along a side meet two different ones. So each
 * of the four phases of the result (even and odd rows, even and odd columns) is the small picture convolved by 2 × 2, with taps added that meet the same
 * number: 4 products in the place of 9 (Shi et al., 2016, https://arxiv.org/abs/1609.07009). The sums are rounded otherwise: 2e-6 on the demo network.
 */
export const phasedUpsampling: Rewrite = (graph) =>
	new Map(graph.nodes.flatMap((node) => (node.operator === 'Conv' ? inPhases(graph, node) : [])))

function inPhases(graph: Graph, conv: Node): [conv: Node, instead: NewNode[]][] {
	const [doubled = '', weights = '', ...bias] = conv.inputs
	const resize = graph.maker.get(doubled)
	const dims = graph.weightDims(weights)
	if (!resize || !isDoubling(graph, resize) || graph.users.get(doubled)!.length > 1 || dims?.slice(2).join() !== '3,3') {
		return []
	}
	const is = (name: string, expected: string) => [expected, ''].includes(graph.integers(conv, name).join())
	const plain =
		is('strides', '1,1') && is('dilations', '1,1') && is('group', '1') && graph.integers(conv, 'pads').join() === '1,1,1,1'
	if (!plain) {
		return []
	}
	const [x] = resize.inputs as [string]
	const [out] = conv.outputs as [string]
	const at = (name: string) => `${out}/${name}`
	const taps = [0, 1, 2, 3].map((n) => constantNode([n], at(String(n))))
	/** Two taps of three along an axis, for even and for odd positions: a, b + c; a + b, c. */
	const folded = (of: string, axis: 2 | 3): NewNode[] => {
		const slice = (from: number, to: number) =>
			newNode('Slice', [of, at(String(from)), at(String(to)), at(String(axis))], `${of}/${axis}.${from}`)
		const [a, b, c] = [0, 1, 2].map((n) => `${of}/${axis}.${n}`) as [string, string, string]
		const joined = (first: string, second: string, phase: number) =>
			newNode('Concat', [first, second], `${of}/${axis}/${phase}`, [attribute('axis', axis)])
		return [
			slice(0, 1),
			slice(1, 2),
			slice(2, 3),
			newNode('Add', [b, c], `${of}/${axis}.bc`),
			newNode('Add', [a, b], `${of}/${axis}.ab`),
			joined(a, `${of}/${axis}.bc`, 0),
			joined(`${of}/${axis}.ab`, c, 1)
		]
	}
	const source = newNode('Identity', [weights], at('W'))
	const phases = [0, 1].flatMap((row) => [0, 1].map((column) => ({ row, column, name: at(`${row}${column}`) })))
	const instead = [
		...taps,
		source,
		...folded(at('W'), 2),
		...[0, 1].flatMap((row) => folded(at(`W/2/${row}`), 3)),
		...phases.map(({ row, column, name }) =>
			newNode('Conv', [x, at(`W/2/${row}/3/${column}`), ...bias], name, [
				attribute('kernel_shape', [2, 2]),
				// Even positions look back, odd ones ahead.
				attribute('pads', [1 - row, 1 - column, row, column])
			])
		),
		newNode(
			'Concat',
			phases.map(({ name }) => name),
			at('phases'),
			[attribute('axis', 1)]
		),
		newNode('DepthToSpace', [at('phases')], out, [attribute('blocksize', 2)])
	]
	return [[conv, instead]]
}

/** Whether it writes each number 2 × 2 times: torch's nearest-neighbour interpolation by 2. */
function isDoubling(graph: Graph, node: Node): boolean {
	const [, , scales = ''] = node.inputs
	const is = (name: string, expected: string) => graph.text(node, name) === expected
	return (
		node.operator === 'Resize' &&
		node.inputs.length === 3 &&
		graph.constant(scales)?.join() === '1,1,2,2' &&
		is('mode', 'nearest') &&
		is('coordinate_transformation_mode', 'asymmetric') &&
		is('nearest_mode', 'floor')
	)
}
