import { existsSync } from 'node:fs'
import path from 'node:path'
import { root } from '../../test/root.ts'
import { loadCheckpoint, planFor } from '../../worker-gpu/ldm/checkpoint.ts'
import type { Drawing } from '../../worker-gpu/ldm/drawing.ts'
import { generator } from '../../worker-gpu/ldm/noise.ts'
import type { Plan } from '../../worker-gpu/ldm/plan.ts'
import type { Part, Stopwatch } from '../../worker-gpu/onnx/part.ts'
import { asOnCuda, chooseProvider, type Provider } from '../../worker-gpu/onnx/provider.ts'
import { drawWeights, readWeights } from './weights.ts'

/** A picture as its model's authors measured or recommend it, and what is to be reached on an H100. */
interface Case {
	readonly drawing: Partial<Drawing>
	/** Pictures at once that are tried. Each is a shape of its own, for which every convolution is planned anew. */
	readonly batches: readonly number[]
	readonly targets?: { readonly rate?: number; readonly latency?: number; readonly gain?: number }
}

const text: Partial<Drawing> = { task: 'text-to-image', prompt: 'a large shiny red sphere on the floor' }

/** In the order of what they cost. */
export const cases = {
	// The paper's table 5: 4.62 samples a second on an A100.
	'ldm-4-sr': {
		drawing: { task: 'super-resolution', width: 256, height: 256, steps: 100, image: generator(0).normal([3, 64, 64]) },
		batches: [64, 128],
		targets: { rate: 25 }
	},
	// Table 18, LDM-8 with 200 DDIM steps: 1.9.
	'ldm-8-class': {
		drawing: { task: 'class-conditional', width: 256, height: 256, steps: 200, class_label: 207 },
		batches: [64, 128],
		targets: { rate: 10 }
	},
	text2im: { drawing: { ...text, width: 256, height: 256, steps: 50, guidance: 5 }, batches: [16, 32] },
	'sd-1.5': {
		drawing: { ...text, width: 512, height: 512, steps: 50, guidance: 7.5 },
		batches: [8, 16],
		targets: { latency: 0.55, gain: 1.3 }
	},
	sdxl: { drawing: { ...text, width: 1024, height: 1024, steps: 30, guidance: 5 }, batches: [4, 8], targets: { rate: 0.8 } }
} satisfies Record<string, Case>
export type Name = keyof typeof cases

export interface Measured extends Case {
	/** Multiplications and additions of one evaluation of the U-Net. */
	readonly operations: number
	readonly stopwatch: Stopwatch
	readonly drawing: Drawing
	plan(fields?: Partial<Drawing>): Promise<Plan>
	/** Gives its memory back: each network keeps to itself what its largest call took. */
	release(): Promise<void>
}

/** As asked; on the CPU the engine does what it does on CUDA, for that is what is tried there. */
export const providerFor = async (choice: 'cuda' | 'cpu'): Promise<Provider> => asOnCuda(await chooseProvider(choice))

/** As graphs/ wrote it: fused, as exported, or narrow as well. */
export type Kind = 'real' | 'plain' | 'tiny'

const folderOf = (name: Name, kind: Kind) => path.join(root, '.data/gpu/models', kind, name)

export const isHere = (name: Name, kind: Kind): boolean => existsSync(path.join(folderOf(name, kind), 'model_index.json'))

/** Those that have no weights yet get theirs. Gives how many bytes. */
export async function drawAll(names: readonly Name[], quick: boolean): Promise<number> {
	const kind = quick ? 'tiny' : 'real'
	const bytes = await Promise.all(names.filter((name) => isHere(name, kind)).map((name) => drawWeights(folderOf(name, kind))))
	return bytes.reduce((sum, each) => sum + each, 0)
}

/** A model of random weights; those are drawn when it is first asked for. Tiny ones draw small pictures in few steps. */
export async function loadModel(name: Name, provider: Provider, kind: Kind): Promise<Measured> {
	const folder = folderOf(name, kind)
	await drawWeights(folder)
	const stopwatch = { milliseconds: 0 }
	const parts = new Map<string, Promise<Part>>()
	const checkpoint = await loadCheckpoint(folder, provider, stopwatch, parts)
	const { operations } = await readWeights(path.join(folder, 'unet'))
	const one: Case = cases[name]
	const drawing: Drawing = {
		task: 'text-to-image',
		prompt: '',
		negative_prompt: null,
		width: 256,
		height: 256,
		steps: 50,
		guidance: 1,
		guidance_rescale: 0,
		sampler: null,
		eta: null,
		strength: 1,
		...one.drawing,
		...(kind === 'tiny' && {
			width: 64,
			height: 64,
			steps: 2,
			...(one.drawing.image && { image: generator(0).normal([3, 16, 16]) })
		})
	}
	return {
		...one,
		operations: operations!,
		stopwatch,
		drawing,
		plan: (fields) => planFor(checkpoint, { ...drawing, ...fields }),
		async release() {
			for (const part of parts.values()) {
				await (await part).release()
			}
		}
	}
}
