import type { Graph, Node, Rewrite } from './graph.ts'
import { attribute, constantNode, type NewNode, newNode } from './new-node.ts'

/** Numbers that ONNX Runtime's CPU provider takes the sine of at once, with SSE as with NEON. */
const AT_ONCE = 4

/**
 * ONNX Runtime takes four sines at once, and those of a tensor's last one to three numbers, where they are left over, by another function, which now and then
 * rounds otherwise (Eigen's remainder: `Sin` and `Cos` in core/providers/cpu/math/element_wise_ops.cc). A timestep is told as the sines of so many frequencies: where these
 * are no multiple of four, as in a U-Net whose first level has 4 or 12 channels, a call's last latent came out 1e-5 apart from what it is among others. So its phases are taken
 * four times over, which leaves nothing.
 */
export const wholeSines: Rewrite = (graph) =>
	new Map(
		graph.nodes.flatMap((node): [Node, NewNode[]][] => {
			const [phases = ''] = node.inputs
			const width = ['Sin', 'Cos'].includes(node.operator) ? frequenciesOf(graph, phases) : 1
			return width > 1 && width % AT_ONCE > 0 ? [[node, taken(graph.copyOf(node), phases, width)]] : []
		})
	)

/** How many frequencies a timestep is multiplied by: the last dimension of a product with weights, and perhaps with more, as Fourier's with 2π; 1 where it is none. */
function frequenciesOf(graph: Graph, name: string): number {
	const product = graph.maker.get(name)
	const factors = product?.operator === 'Mul' ? product.inputs : []
	return Math.max(1, ...factors.map((factor) => graph.dims(factor)?.at(-1) ?? frequenciesOf(graph, factor)))
}

function taken(node: NewNode, phases: string, width: number): NewNode[] {
	const [out = ''] = node.outputs
	const at = (name: string) => `${out}/${name}`
	return [
		newNode('Concat', Array(AT_ONCE).fill(phases), at('repeated'), [attribute('axis', -1)]),
		{ ...node, inputs: [at('repeated')], outputs: [at('all')] },
		constantNode([0], at('from')),
		constantNode([width], at('to')),
		constantNode([-1], at('axis')),
		newNode('Slice', [at('all'), at('from'), at('to'), at('axis')], out)
	]
}
