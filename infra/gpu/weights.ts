import { existsSync } from 'node:fs'
import { open, readdir, readFile, rename } from 'node:fs/promises'
import path from 'node:path'
import { z } from 'zod'
import { generator } from '../../worker-gpu/ldm/noise.ts'
import { toHalf } from '../../worker-gpu/onnx/half.ts'

/** What graphs/weightless.py says of a graph's matrices. Offsets in bytes. */
const Weights = z.object({
	type: z.enum(['float', 'float16']),
	matrices: z.array(z.tuple([z.int(), z.int(), z.number()]).transform(([offset, count, spread]) => ({ offset, count, spread }))),
	/** Multiplications and additions of one evaluation of a U-Net. */
	operations: z.number().nullable()
})

/** Odd, so that a matrix's rows differ from each other. */
const NUMBERS = 1_000_003

/**
 * Draws the weights of every graph of a model that has none yet, and gives how many bytes. They mean nothing, but are as large and as varied as real ones:
 * sums neither overflow nor vanish, and a GPU that multiplies zeros draws less power and so runs faster. The same million normal numbers over and over:
 * gigabytes take seconds.
 */
export async function drawWeights(model: string): Promise<number> {
	const folders = (await readdir(model)).map((part) => path.join(model, part))
	const missing = folders.filter(
		(folder) => existsSync(path.join(folder, 'weights.json')) && !existsSync(path.join(folder, 'weights'))
	)
	const bytes = await Promise.all(missing.map(draw))
	return bytes.reduce((sum, each) => sum + each, 0)
}

async function draw(folder: string): Promise<number> {
	const { type, matrices } = await readWeights(folder)
	const normal = generator(0).normal([NUMBERS]).data
	const scaled = new Map<number, Uint8Array>()
	const file = await open(path.join(folder, 'weights.new'), 'w')
	let bytes = 0
	for (const { offset, count, spread } of matrices) {
		const numbers = scaled.get(spread) ?? bytesOf(normal, spread, type)
		scaled.set(spread, numbers)
		const size = (numbers.length / NUMBERS) * count
		for (let at = 0; at < size; at += numbers.length) {
			await file.write(numbers.subarray(0, size - at), 0, undefined, offset + at)
		}
		bytes += size
	}
	await file.close()
	await rename(path.join(folder, 'weights.new'), path.join(folder, 'weights'))
	return bytes
}

export const readWeights = async (folder: string): Promise<z.infer<typeof Weights>> =>
	Weights.parse(JSON.parse(await readFile(path.join(folder, 'weights.json'), 'utf8')))

function bytesOf(normal: Float32Array, spread: number, type: 'float' | 'float16'): Uint8Array {
	const numbers = normal.map((value) => value * spread)
	return new Uint8Array((type === 'float' ? numbers : toHalf(numbers)).buffer)
}
