import { FLOAT, type Graph, HALF, type Node, type Rewrite } from './graph.ts'
import { attribute, constantNode, MICROSOFT, type NewNode, newNode } from './new-node.ts'

/**
 * A picture that is doubled and then convolved by 3 × 3: every number is there four times, and three taps along a side meet two different ones. So each
 * of the four phases of the result (even and odd rows, even and odd columns) is the small picture convolved by 2 × 2, with taps added that meet the same
 * number: 4 products in the place of 9 (Shi et al., 2016, https://arxiv.org/abs/1609.07009). One convolution makes all four as channels, around each corner
 * of the small pixels. Around the outermost corners there is a row and a column too many on each side, which are cut off. The sums are rounded otherwise:
 * 2e-6 on the demo network.
 */
export const phasedUpsampling: Rewrite = (graph) => new Map(graph.nodes.flatMap((node) => inPhases(graph, node)))

/** ONNX's own convolution and that of CUDA's fused graphs, which pictures are turned for: the first of the axes that rows and columns are. */
const LAYOUTS: Readonly<Record<string, { first: number; turn?: readonly number[] }>> = {
	Conv: { first: 2 },
	[`${MICROSOFT}.NhwcConv`]: { first: 1, turn: [0, 2, 3, 1] }
}

/** Of three taps that meet the two pixels at a corner, those that meet the first and the second: in the first one's second copy, and in the second one's first. */
const TAPS = [
	[
		[1, 1, 0],
		[0, 0, 1]
	],
	[
		[1, 0, 0],
		[0, 1, 1]
	]
]
/** 16 × 9: of each phase's 2 × 2 taps, which of 3 × 3 each is the sum of. */
const SUMS = TAPS.flatMap((rows) =>
	TAPS.flatMap((columns) => rows.flatMap((row) => columns.map((column) => row.flatMap((a) => column.map((b) => a * b)))))
)

function inPhases(graph: Graph, conv: Node): [conv: Node, instead: NewNode[]][] {
	const layout = LAYOUTS[conv.operator]
	const [given = '', weights = '', bias = ''] = conv.inputs
	// ONNX Runtime's script casts what it turns, also to what it is.
	const isCast = layout?.turn !== undefined && graph.maker.get(given)?.operator === 'Cast'
	const image = isCast ? graph.maker.get(given)!.inputs[0]! : given
	const turned = layout?.turn && graph.maker.get(image)
	const doubled = turned ? turned.inputs[0]! : image
	const resize = graph.maker.get(doubled)
	if (!layout || !resize || !isDoubling(graph, resize)) {
		return []
	}
	const { first, turn } = layout
	const isTurned = turned?.operator === 'Transpose' && graph.integers(turned, 'perm').join() === turn?.join()
	const takenOnce = [given, image, doubled].every((name) => graph.users.get(name)!.length === 1)
	const is = (name: string, expected: string) => [expected, ''].includes(graph.integers(conv, name).join())
	const plain =
		is('strides', '1,1') && is('dilations', '1,1') && is('group', '1') && graph.integers(conv, 'pads').join() === '1,1,1,1'
	const dims = graph.dims(weights) ?? []
	const type = graph.weightType(weights)
	// A CPU takes weights of half precision for what they are, and would have their sums rounded.
	const isKnown = type === FLOAT || (type === HALF && turn !== undefined)
	if (
		(turn && !isTurned) ||
		!takenOnce ||
		!plain ||
		!isKnown ||
		dims.length !== 4 ||
		dims.slice(first, first + 2).join() !== '3,3'
	) {
		return []
	}
	const [x] = resize.inputs as [string]
	const [out] = conv.outputs as [string]
	const [channels = 0] = dims
	const at = (name: string) => `${out}/${name}`
	const node = (operator: string, inputs: readonly string[], name: string, attributes?: readonly Buffer[]) =>
		newNode(operator, inputs, at(name), attributes)
	const shaped = (value: string, dims: readonly number[], name: string) => [
		constantNode(dims, at(`${name}/dims`)),
		node('Reshape', [at(value), at(`${name}/dims`)], name)
	]
	/** The dimensions of the weights, with others for the taps. */
	const withTaps = (...taps: readonly number[]) => [...dims.slice(0, first), ...taps, ...dims.slice(first + 2)]
	const others = [0, 1, 2, 3, 4].filter((axis) => axis !== first)
	const cast = (type: number) => [attribute('to', type)]
	const ofWeights = [
		constantNode((turn ? SUMS : transposed(SUMS)).flat(), at('numbers')),
		node('Cast', [at('numbers')], 'real', cast(FLOAT)),
		...shaped('real', turn ? [16, 9] : [9, 16], 'sums'),
		node('Cast', [weights], 'W', cast(FLOAT)),
		...shaped('W', withTaps(9), 'W/9'),
		node('MatMul', turn ? [at('sums'), at('W/9')] : [at('W/9'), at('sums')], 'W/16'),
		node('Cast', [at('W/16')], 'W/rounded', cast(type)),
		...shaped('W/rounded', withTaps(4, 2, 2), 'W/apart'),
		node('Transpose', [at('W/apart')], 'W/first', [attribute('perm', [first, ...others])]),
		...shaped('W/first', [4 * channels, ...withTaps(2, 2).slice(1)], 'weights')
	]
	const biases = bias === '' ? [] : [node('Concat', [bias, bias, bias, bias], 'bias', [attribute('axis', 0)])]
	const around = node(conv.operator, [turn ? at('x') : x, at('weights'), ...biases.flatMap(({ outputs }) => outputs)], 'phases', [
		attribute('kernel_shape', [2, 2]),
		attribute('pads', [1, 1, 1, 1])
	])
	const apart = turn
		? [
				...shaped('phases', [0, 0, 0, 2, 2 * channels], 'columns'),
				node('Transpose', [at('columns')], 'rows', [attribute('perm', [0, 1, 3, 2, 4])]),
				node('Shape', [at('phases')], 'small'),
				constantNode([1, 2, 2, 0], at('twice')),
				node('Mul', [at('small'), at('twice')], 'doubled'),
				constantNode([0, 0, 0, channels], at('channels')),
				node('Add', [at('doubled'), at('channels')], 'size'),
				node('Reshape', [at('rows'), at('size')], 'whole')
			]
		: [node('DepthToSpace', [at('phases')], 'whole', [attribute('blocksize', 2)])]
	const cut = [
		constantNode([1, 1], at('from')),
		constantNode([-1, -1], at('to')),
		constantNode([first, first + 1], at('axes')),
		newNode('Slice', [at('whole'), at('from'), at('to'), at('axes')], out)
	]
	return [
		[
			conv,
			[
				...(turn
					? [node('Transpose', [x], 'turned', [attribute('perm', turn)]), node('Cast', [at('turned')], 'x', cast(type))]
					: []),
				...ofWeights,
				...biases,
				around,
				...apart,
				...cut
			]
		]
	]
}

const transposed = (rows: readonly (readonly number[])[]) => rows[0]!.map((_, i) => rows.map((row) => row[i]!))

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
