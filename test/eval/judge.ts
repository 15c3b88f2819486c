/** The model kit's classifier (infra/model-kit/judge), which says what a picture of the "scenes" world shows. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession, Tensor } from 'onnxruntime-node'
import sharp from 'sharp'
import { root } from '../root.ts'

export const kit = join(root, 'infra/model-kit/judge')
/** Pixels a side. */
export const side = 128
const batch = 50

/** Names of the classes, in the order of the judge's outputs. */
export const labels = JSON.parse(readFileSync(join(kit, 'judge.json'), 'utf8')).heads as Record<
	'colour' | 'shape' | 'size' | 'material' | 'floor',
	string[]
>

export interface Judgement {
	/** Objects: 1, 2 or 3. */
	count: number
	/** Colours and shapes of all objects. */
	colours: Set<string>
	shapes: Set<string>
	/** Of a single object: the likeliest class of each. */
	colour: string
	shape: string
	size: string
	material: string
	floor: string
}

export type Judge = (pictures: readonly Uint8Array[]) => Promise<Judgement[]>

/** Loads the judge. It takes 128×128 pictures as RGB bytes, rows first. */
export async function loadJudge(): Promise<Judge> {
	const session = await InferenceSession.create(join(kit, 'judge.onnx'))
	const judge = async (pictures: readonly Uint8Array[]): Promise<Judgement[]> => {
		if (pictures.length > batch) {
			return [...(await judge(pictures.slice(0, batch))), ...(await judge(pictures.slice(batch)))]
		}
		const outputs = await session.run({ image: new Tensor('float32', planesOf(pictures), [pictures.length, 3, side, side]) })
		return pictures.map((_, b) => {
			const logits = (name: string): number[] => {
				const { data, dims } = outputs[name]!
				const width = dims[1] as number
				return Array.from((data as Float32Array).subarray(b * width, (b + 1) * width))
			}
			const best = (name: keyof typeof labels) => labels[name][argmax(logits(name))] as string
			const present = (name: 'colour' | 'shape') =>
				new Set(labels[name].filter((_, i) => (logits(`present_${name}`)[i] as number) > 0))
			return {
				count: argmax(logits('count')) + 1,
				colours: present('colour'),
				shapes: present('shape'),
				colour: best('colour'),
				shape: best('shape'),
				size: best('size'),
				material: best('material'),
				floor: best('floor')
			}
		})
	}
	return judge
}

/** What the kit's networks take: [B, 3, 128, 128] in [-1, 1]. */
export function planesOf(pictures: readonly Uint8Array[]): Float32Array {
	const pixels = side * side
	const planes = new Float32Array(pictures.length * 3 * pixels)
	for (const [b, rgb] of pictures.entries()) {
		for (let i = 0; i < pixels; i++) {
			for (let c = 0; c < 3; c++) {
				planes[(b * 3 + c) * pixels + i] = (rgb[i * 3 + c] as number) / 127.5 - 1
			}
		}
	}
	return planes
}

const argmax = (values: number[]): number => values.indexOf(Math.max(...values))

/** A picture file as RGB bytes. */
export async function decodePicture(file: Uint8Array): Promise<Uint8Array> {
	return new Uint8Array(await sharp(file).removeAlpha().raw().toBuffer())
}
