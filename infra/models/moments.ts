import { renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { generator } from '../../worker-gpu/ldm/noise.ts'
import { FLOAT, type Node, Graph as Nodes } from '../../worker-gpu/onnx/graph.ts'
import { attribute, declaration, newNode } from '../../worker-gpu/onnx/new-node.ts'
import type { Provider } from '../../worker-gpu/onnx/provider.ts'
import { type Tensor, volume } from '../../worker-gpu/onnx/tensor.ts'
import type { Graph } from './graph.ts'
import { withPart } from './unet.ts'

const [DRAWN, MOMENTS] = ['latent_sample', 'latent_parameters']

/**
 * Encoders of diffusers' own script, of Olive and of Optimum up to 1.20 draw a latent inside their graph, where no seed reaches: z = μ + σ ε. The graph of such
 * a folder is made to end before that, with μ and log σ², as those of today do; shown by what it drew last. False where it draws nothing, or in
 * another way, or where that is not shown; all is left as it was then.
 */
export async function endWithMoments(folder: string, { half }: Graph, provider: Provider, factor: number): Promise<boolean> {
	const [file, before] = [path.join(folder, 'model.onnx'), path.join(folder, 'model.onnx.drawing')]
	const graph = new Nodes(file)
	try {
		const moments = drawnFrom(graph)
		if (moments === undefined) {
			return false
		}
		const drawn = await encode(folder, provider, factor, DRAWN)
		renameSync(file, before)
		graph.write(file, {
			nodes: new Map([[graph.maker.get(DRAWN)!, [newNode('Cast', [moments], MOMENTS, [attribute('to', FLOAT)])]]]),
			outputs: new Map([[DRAWN, declaration(MOMENTS, { type: FLOAT, dims: ['batch_size', 'channels', 'height', 'width'] })]])
		})
		if (!isDrawnFrom(drawn, await encode(folder, provider, factor, MOMENTS), half)) {
			renameSync(before, file)
			return false
		}
		rmSync(before)
		return true
	} finally {
		graph.close()
	}
}

/** Nodes on the way from one that matters to the next, at most: a graph may be made to lead around in circles. */
const FAR = 16

/** The value whose halves μ and log σ² are, as diffusers' DiagonalGaussianDistribution is traced: μ + exp(½ clip(log σ²)) · RandomNormalLike(…). */
function drawnFrom(graph: Nodes): string | undefined {
	const made = (name: string): Node | undefined => {
		let node = graph.maker.get(name)
		for (let i = 0; i < FAR && node && ['Cast', 'Identity'].includes(node.operator); i++) {
			node = graph.maker.get(node.inputs[0]!)
		}
		return node
	}
	const isHalf = (node?: Node) => node && ['Slice', 'Split'].includes(node.operator)
	/** Back from σ to log σ², past ½ and the bounds. */
	const halfOf = (deviation: Node): string | undefined => {
		const before = new Set([deviation])
		for (const node of before) {
			if (isHalf(node)) {
				return node.inputs[0]
			}
			for (const input of before.size < FAR ? node.inputs : []) {
				const maker = made(input)
				if (maker) {
					before.add(maker)
				}
			}
		}
		return undefined
	}
	const sum = made(DRAWN)
	const [mean, product] = sum?.operator === 'Add' ? sum.inputs.map(made) : []
	const [deviation, noise] = product?.operator === 'Mul' ? product.inputs.map(made) : []
	const moments = isHalf(mean) ? mean!.inputs[0] : undefined
	return noise?.operator === 'RandomNormalLike' && deviation?.operator === 'Exp' && halfOf(deviation) === moments
		? moments
		: undefined
}

/** What it makes of a picture of noise. */
const encode = (folder: string, provider: Provider, factor: number, output: string): Promise<Tensor> =>
	withPart(folder, provider, async (part) => {
		const [, channels, ...sides] = part.inputs.get('sample')!.dims
		const free = [3, 8 * factor, 8 * factor]
		const dims = [1, ...[channels, ...sides].map((dim, i) => (typeof dim === 'number' ? dim : free[i]!))]
		const sample = generator(0).normal(dims)
		const [answer] = await part.run({ sample: { data: sample.data.subarray(0, volume(dims)), dims } }, [output])
		return answer!
	})

/**
 * Whether a latent is as far from its means as their deviations say: of some hundred numbers the mean of ((z − μ) / σ)² is 1, and neither 2 nor ½ in anyone's
 * lifetime. Halves are rounded by more than many a deviation is.
 */
function isDrawnFrom({ data: z }: Tensor, { data: moments }: Tensor, half: boolean): boolean {
	const rounding = z.reduce((most, value) => Math.max(most, Math.abs(value)), 0) * 2 ** (half ? -10 : -21)
	let [least, most] = [0, 0]
	for (const [i, value] of z.entries()) {
		const variance = Math.exp(Math.min(Math.max(moments[z.length + i]!, -30), 20))
		least += (value - moments[i]!) ** 2 / (variance + rounding ** 2) / z.length
		most += (value - moments[i]!) ** 2 / variance / z.length
	}
	return moments.length === 2 * z.length && least < 2 && (half || most > 0.5)
}
