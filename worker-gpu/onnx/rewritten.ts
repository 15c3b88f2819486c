import { inputsOfShared, ROWS } from './branches.ts'
import { Graph, type Node, type Rewrite } from './graph.ts'
import type { NewNode } from './new-node.ts'

/** A graph's file with all that `rewrites` find in it; undefined where they find nothing. */
export function rewritten(file: string, rewrites: readonly Rewrite[]): Buffer | undefined {
	const graph = new Graph(file)
	try {
		const found = new Map<Node, readonly NewNode[]>()
		for (const rewrite of graph.nested ? [] : rewrites) {
			for (const [node, instead] of rewrite(graph, found)) {
				found.set(node, instead)
			}
		}
		const shares = [...found.values()].flat().some(({ inputs }) => inputs.includes(ROWS))
		return found.size > 0 ? graph.with(found, shares ? inputsOfShared(graph) : undefined) : undefined
	} finally {
		graph.close()
	}
}
