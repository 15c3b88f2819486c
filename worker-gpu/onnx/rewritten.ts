import { Graph, type Rewrite } from './graph.ts'

/** A graph's file with all that `rewrites` find in it; undefined where they find nothing. */
export function rewritten(file: string, rewrites: readonly Rewrite[]): Buffer | undefined {
	const graph = new Graph(file)
	try {
		const found = graph.nested ? [] : rewrites.flatMap((rewrite) => [...rewrite(graph)])
		return found.length > 0 ? graph.with(new Map(found)) : undefined
	} finally {
		graph.close()
	}
}
