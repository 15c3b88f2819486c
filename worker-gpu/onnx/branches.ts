import { type Graph, INT64, inputsOf, type Node, type Replaced, type Rewrite } from './graph.ts'
import { attribute, type Declared, type NewNode, newNode } from './new-node.ts'

/** The input that a shared graph has more: for each row of the batch, which of the latents it is of. int64 [B], 0 to U − 1. */
export const ROWS = 'rows_of_latents'

/**
 * Guidance asks twice of the same latent at the same timestep, with a condition and without. What a U-Net computes before it first looks at the
 * condition is the same for both, to the bit: its first level, up to the first cross-attention. So `sample` and `timestep` become U latents, the
 * condition stays one for each of B rows, and where both meet each row takes its latent's values. Of the demo network's work 14 % are done once then.
 *
 * Only what is known to keep a latent's values together, first axis by first axis, is shared; all else is done for each row, as it was.
 */
export const sharedByBranches: Rewrite = (graph, earlier) => {
	if (!graph.inputs.includes('sample')) {
		return new Map() // Transformers meet the condition in their first block.
	}
	const { nodes } = graph.needed(earlier)
	// A timestep without an axis, as it is exported, is one for all.
	const kindOfInput = (name: string) =>
		!LATENT.includes(name) ? 'row' : !graph.inputOf(name).dims?.length ? 'constant' : 'latent'
	const kinds = new Map<string, Kind>(graph.inputs.map((name) => [name, kindOfInput(name)]))
	const kindOf = (name: string): Kind => kinds.get(name) ?? 'constant'
	const kept = graph.nodes.filter((node) => nodes.has(node))
	for (const node of kept) {
		const kind = kindOfNode(graph, node, earlier, kindOf)
		for (const name of node.outputs.filter((name) => name !== '')) {
			kinds.set(name, kind)
		}
	}
	const shares = kept.some((node) => WORK.has(node.operator) && kindOf(node.outputs[0]!) === 'latent')
	const conditioned = graph.inputs.some((name) => kindOf(name) === 'row') && graph.outputs.every((name) => kindOf(name) === 'row')
	return shares && conditioned ? spread(graph, kept, earlier, kindOf) : new Map()
}

/**
 * The inputs of a shared graph that are not as they were. There are as many latents as rows no longer, so that they may not be called the same: ONNX Runtime has
 * values of the same axes take one another's memory.
 */
export const inputsOfShared = (graph: Graph): Map<string, Declared> =>
	new Map([
		[ROWS, { type: INT64, dims: ['rows'] }],
		...LATENT.filter((name) => graph.inputs.includes(name)).map((name) => {
			const { type, dims } = graph.inputOf(name)
			const latents = dims?.map((dim, axis) => (axis === 0 && typeof dim === 'string' ? 'latents' : dim))
			return [name, { type, dims: latents }] as const
		})
	])

/** The inputs that guidance's branches have in common. */
const LATENT: readonly string[] = ['sample', 'timestep']

/**
 * What a value is there for: each latent, first axis by first axis; each row, for it has met the condition or might not keep latents apart; the dimensions of
 * values of latents; or nothing that is given.
 */
type Kind = 'latent' | 'row' | 'shape' | 'constant'

/** What is worth being shared. */
const WORK = new Set(['Conv', 'MatMul', 'Gemm'])

function kindOfNode(graph: Graph, node: Node, earlier: Replaced, kindOf: (name: string) => Kind): Kind {
	const kinds = new Set(inputsOf(node, earlier).map(kindOf))
	if (kinds.has('row')) {
		return 'row'
	}
	if (!kinds.has('latent')) {
		return kinds.has('shape') ? 'shape' : 'constant'
	}
	if (node.operator === 'Shape') {
		return 'shape'
	}
	return earlier.has(node) || keepsFirstAxis(graph, node, kindOf) ? 'latent' : 'row'
}

/** They work number by number, within the rows, or along other axes than the first, whatever their attributes. */
const WITHIN_ROWS = new Set(
	`Add Sub Mul Div Pow Neg Sqrt Exp Erf Sin Cos Sigmoid Tanh Relu Gelu Cast Identity
	Conv AveragePool InstanceNormalization GroupNormalization MatMul`.split(/\s+/)
)

/** Whether what it makes of values whose first axis is the latents has them as its first axis too. */
function keepsFirstAxis(graph: Graph, node: Node, kindOf: (name: string) => Kind): boolean {
	const [data = '', second = '', , axes = ''] = node.inputs
	const axis = graph.integers(node, 'axis')[0]
	switch (node.operator) {
		case 'Concat':
			return axis !== undefined && (axis > 0 || axis === -1)
		case 'Softmax':
		case 'LayerNormalization':
			return axis === undefined || axis === -1
		case 'Gemm':
			return kindOf(data) === 'latent' && graph.integers(node, 'transA').join() !== '1'
		case 'Transpose':
			return graph.integers(node, 'perm')[0] === 0
		case 'Unsqueeze':
			return graph.constant(second)?.every((axis) => axis > 0 || axis === -1) ?? false
		case 'Slice':
			return graph.constant(axes)?.every((axis) => axis > 0 || axis === -1) ?? false
		case 'Reshape':
			return kindOf(data) === 'latent' && (graph.constant(second)?.[0] === 0 || beginsWithCount(graph, second, kindOf))
		case 'Expand':
			return kindOf(data) === 'latent' && beginsWithCount(graph, second, kindOf)
		default:
			return WITHIN_ROWS.has(node.operator)
	}
}

/** Whether the first number of a shape is known to be how many latents there are. */
function beginsWithCount(graph: Graph, name: string, kindOf: (name: string) => Kind): boolean {
	const node = graph.maker.get(name)
	const [first = '', second = '', third = ''] = node?.inputs ?? []
	switch (node?.operator) {
		case 'Shape':
			return kindOf(first) === 'latent' && (graph.integers(node, 'start')[0] ?? 0) === 0
		case 'Gather':
			return graph.constant(second)?.[0] === 0 && beginsWithCount(graph, first, kindOf)
		case 'Slice':
			return graph.constant(second)?.join() === '0' && beginsWithCount(graph, first, kindOf)
		case 'Where': // Expand's −1, which stands for what is there.
			return beginsWithCount(graph, third, kindOf)
		case 'Cast':
		case 'Concat':
		case 'Identity':
		case 'Reshape':
		case 'Unsqueeze':
			return beginsWithCount(graph, first, kindOf)
		default:
			return false
	}
}

/** Where rows take what is there once for each latent, they take it through `ROWS`; shapes are computed anew, of what they took. */
function spread(graph: Graph, nodes: readonly Node[], earlier: Replaced, kindOf: (name: string) => Kind): Map<Node, NewNode[]> {
	const replaced = new Map<Node, NewNode[]>()
	const spreading = new Set<string>()
	const isShared = (name: string) => ['latent', 'shape'].includes(kindOf(name))
	const spreadOf = (name: string) => (isShared(name) ? `${name}/of rows` : name)

	/** What has to come before a node that takes `name` for each row. */
	function* before(name: string): Generator<NewNode> {
		if (!isShared(name) || spreading.has(name)) {
			return
		}
		if (kindOf(name) === 'latent') {
			spreading.add(name)
			yield newNode('Gather', [name, ROWS], spreadOf(name), [attribute('axis', 0)])
			return
		}
		const node = graph.maker.get(name)!
		for (const input of node.inputs) {
			yield* before(input)
		}
		for (const output of node.outputs) {
			spreading.add(output)
		}
		yield forRows(graph.copyOf(node))
	}
	const forRows = ({ inputs, outputs, ...node }: NewNode): NewNode => ({
		...node,
		inputs: inputs.map(spreadOf),
		outputs: outputs.map(spreadOf)
	})

	for (const node of nodes) {
		const taken = inputsOf(node, earlier).filter(isShared)
		if (kindOf(node.outputs[0]!) === 'row' && taken.length > 0) {
			const instead = earlier.get(node) ?? [graph.copyOf(node)]
			replaced.set(node, [...taken.flatMap((name) => [...before(name)]), ...instead.map(forRows)])
		}
	}
	return replaced
}
