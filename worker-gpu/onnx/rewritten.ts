import { inputsOfShared, ROWS } from './branches.ts'
import { Graph, type Node, type Rewrite } from './graph.ts'
import type { Declared, NewNode } from './new-node.ts'

/** How long the axes of each input are. */
export type Shapes = Readonly<Record<string, readonly number[]>>

/**
 * A graph's file with all that `rewrites` find in it; undefined where they find nothing.
 *
 * @param shapes of the inputs at every call, for a graph that takes no others: what computes with them ONNX Runtime computes when it opens the graph. Fixed are the inputs
 * themselves, and not whatever has their names: exporters give outputs names of inputs that are not theirs
 */
export function rewritten(file: string, rewrites: readonly Rewrite[], shapes?: Shapes): Buffer | undefined {
	const graph = new Graph(file)
	try {
		if (graph.nested) {
			return undefined
		}
		const found = new Map<Node, readonly NewNode[]>()
		for (const rewrite of rewrites) {
			for (const [node, instead] of rewrite(graph, found)) {
				found.set(node, instead)
			}
		}
		const shares = [...found.values()].flat().some(({ inputs }) => inputs.includes(ROWS))
		const inputs: Map<string, Declared> = shares ? inputsOfShared(graph) : new Map()
		for (const [name, dims] of Object.entries(shapes ?? {})) {
			inputs.set(name, { ...(inputs.get(name) ?? graph.inputOf(name)), dims })
		}
		return found.size > 0 || inputs.size > 0 ? graph.with({ nodes: found, inputs }) : undefined
	} finally {
		graph.close()
	}
}
