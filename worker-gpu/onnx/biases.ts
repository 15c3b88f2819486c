import type { Graph, Node, Rewrite } from './graph.ts'
import { MICROSOFT, type NewNode, newNode } from './new-node.ts'

/**
 * On CUDA ONNX Runtime adds a convolution's bias in a kernel of its own, which reads and writes all that the convolution has just written
 * (core/providers/cuda/nn/conv.cc; `fuse_conv_bias` is an option that JavaScript cannot set). Where more is added right afterwards, the bias goes along: into
 * the bias of a convolution that is the other summand, into the timestep's embedding before it is spread over the picture, or into the bias of a
 * SkipGroupNorm, whose kernel reads and adds anyway. In float32 the sums are rounded otherwise: 1e-6.
 */
export const movedBiases: Rewrite = (graph, earlier) => {
	const replaced = new Map<Node, NewNode[]>()
	for (const node of graph.nodes) {
		const moved =
			node.operator === 'Add' ? intoSummand(graph, node) : node.operator === SKIP_GROUP_NORM ? intoNorm(graph, node) : []
		if (!moved.some(([node]) => earlier.has(node))) {
			for (const [node, instead] of moved) {
				replaced.set(node, instead)
			}
		}
	}
	return replaced
}

type Moved = [node: Node, instead: NewNode[]][]

const SKIP_GROUP_NORM = `${MICROSOFT}.SkipGroupNorm`
/** Which axis of the result the channels are. */
const CHANNELS: Readonly<Record<string, number>> = { Conv: 1, [`${MICROSOFT}.NhwcConv`]: 3 }

/** A convolution with a bias, whose result is taken once. */
interface Biased {
	readonly conv: Node
	readonly bias: string
	/** Of the channels, where it is taken. */
	readonly axis: number
}

function biasedOf(graph: Graph, name: string): Biased | undefined {
	const node = graph.maker.get(name)
	if (!node || graph.users.get(name)!.length > 1 || graph.outputs.includes(name)) {
		return undefined
	}
	if (node.operator === 'Transpose') {
		const turned = biasedOf(graph, node.inputs[0]!)
		return turned && { ...turned, axis: graph.integers(node, 'perm').indexOf(turned.axis) }
	}
	const axis = CHANNELS[node.operator]
	const [, weights = '', bias = ''] = node.inputs
	const isOfPictures = graph.dims(weights)?.length === 4 && graph.dims(bias)?.length === 1
	return axis !== undefined && isOfPictures ? { conv: node, bias, axis } : undefined
}

const without = (graph: Graph, { conv }: Biased): [Node, NewNode[]] => [
	conv,
	[{ ...graph.copyOf(conv), inputs: conv.inputs.slice(0, 2) }]
]

/** (x ∗ V + a) + (y ∗ W + b) → x ∗ V + (y ∗ W + (a + b)); (x ∗ W + b) + e → x ∗ W + (e + b) */
function intoSummand(graph: Graph, add: Node): Moved {
	const [left, right] = add.inputs.map((name) => biasedOf(graph, name))
	if (left && right) {
		const fit = left.conv !== right.conv && left.axis === right.axis && `${graph.dims(left.bias)}` === `${graph.dims(right.bias)}`
		const sum = `${add.outputs[0]}/bias`
		const { inputs, ...rest } = graph.copyOf(right.conv)
		return fit
			? [
					without(graph, left),
					[right.conv, [newNode('Add', [left.bias, right.bias], sum), { ...rest, inputs: [...inputs.slice(0, 2), sum] }]]
				]
			: []
	}
	const one = left ?? right
	const spread = one && spreadOf(graph, add.inputs[left ? 1 : 0]!)
	if (!one || !spread || spread.axis !== one.axis) {
		return []
	}
	const { unsqueeze } = spread
	const [embedding, ...axes] = unsqueeze.inputs as [string, ...string[]]
	const sum = `${add.outputs[0]}/embedding`
	return [
		without(graph, one),
		[unsqueeze, [newNode('Add', [embedding, one.bias], sum), { ...graph.copyOf(unsqueeze), inputs: [sum, ...axes] }]]
	]
}

/** Which axis a Gemm's second one becomes, [N, C] as [N, C, 1, 1] or [N, 1, 1, C]. */
const SPREAD: Readonly<Record<string, number>> = { '2,3': 1, '-1,-1': 1, '1,2': 3 }

/** What begins to make a Gemm's [N, C] as wide as a picture: the first Unsqueeze, where its result is taken once, and which axis the channels become. */
function spreadOf(graph: Graph, name: string, later: readonly number[] = []): { unsqueeze: Node; axis: number } | undefined {
	const node = graph.maker.get(name)
	if (!node || graph.users.get(name)!.length > 1 || graph.outputs.includes(name)) {
		return undefined
	}
	const [of = '', given] = node.inputs
	if (node.operator === 'Transpose' && later.length === 0) {
		const turned = spreadOf(graph, of)
		return turned && { ...turned, axis: graph.integers(node, 'perm').indexOf(turned.axis) }
	}
	if (node.operator !== 'Unsqueeze') {
		return undefined
	}
	const axes = [...(given === undefined ? graph.integers(node, 'axes') : (graph.constant(given) ?? [])), ...later]
	const axis = SPREAD[axes.join()]
	const isFirst = graph.maker.get(of)?.operator === 'Gemm'
	return !isFirst ? spreadOf(graph, of, axes) : axis === undefined ? undefined : { unsqueeze: node, axis }
}

/** SkipGroupNorm normalises x + skip + bias, [N, H, W, C]; its second result is the sum. */
function intoNorm(graph: Graph, norm: Node): Moved {
	const [x = '', scale = '', shift = '', skip = '', bias = ''] = norm.inputs
	const convs = x === skip ? [] : [x, skip].flatMap((name) => biasedOf(graph, name) ?? []).filter(({ axis }) => axis === 3)
	const [first, ...more] = [...(bias === '' ? [] : [bias]), ...convs.map(({ bias }) => bias)]
	if (convs.length === 0 || first === undefined) {
		return []
	}
	const nameOf = (i: number) => (i === 0 ? first : `${norm.outputs[0]}/bias/${i}`)
	const sums = more.map((bias, i) => newNode('Add', [nameOf(i), bias], nameOf(i + 1)))
	return [
		...convs.map((one) => without(graph, one)),
		[norm, [...sums, { ...graph.copyOf(norm), inputs: [x, scale, shift, skip, nameOf(more.length)] }]]
	]
}
