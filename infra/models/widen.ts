import { FLOAT, Graph, HALF, type Node } from '../../worker-gpu/onnx/graph.ts'
import { attribute, type Declared, declaration, type NewNode, newNode } from '../../worker-gpu/onnx/new-node.ts'

/**
 * Copies a graph of float16 to `target` as one that computes in float32, of the weights as they are stored: each is cast where it is taken, which ONNX Runtime does
 * once, when it loads the graph.
 */
export function widen(source: string, target: string): void {
	const graph = new Graph(source)
	try {
		const weights = new Set(graph.weights)
		const isHalf = (name: string) =>
			(weights.has(name) || graph.maker.get(name)?.operator === 'Constant') && graph.weightType(name) === HALF
		const replaced = (node: Node): NewNode[] => {
			if (node.operator === 'Cast' && graph.integers(node, 'to')[0] === HALF) {
				return [newNode('Cast', node.inputs, node.outputs[0]!, [attribute('to', FLOAT)])]
			}
			const cast = node.inputs.map((name, i) => (isHalf(name) ? `${node.outputs[0]}/${i}` : name))
			const casts = node.inputs.flatMap((name, i) =>
				name === cast[i] ? [] : [newNode('Cast', [name], cast[i]!, [attribute('to', FLOAT)])]
			)
			return casts.length > 0 ? [...casts, { ...graph.copyOf(node), inputs: cast }] : []
		}
		const nodes = graph.nodes.map((node) => [node, replaced(node)] as const).filter(([, made]) => made.length > 0)
		const wider = (declared: Declared) => (declared.type === HALF ? { ...declared, type: FLOAT } : declared)
		graph.write(target, {
			nodes: new Map(nodes),
			inputs: new Map(graph.inputs.map((name) => [name, wider(graph.inputOf(name))])),
			outputs: new Map(graph.outputs.map((name) => [name, declaration(name, wider(graph.outputOf(name)))]))
		})
	} finally {
		graph.close()
	}
}
