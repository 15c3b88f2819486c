import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { kit, side } from './judge.ts'

/** RGB bytes of a 128×128 picture, rows first. */
export type Pixels = Uint8Array

const raw = { width: side, height: side, channels: 3 as const }

/** All pictures on one sheet, twenty to a row. */
export async function writeSheet(file: string, pictures: readonly Pixels[]): Promise<void> {
	const columns = Math.min(20, pictures.length)
	mkdirSync(dirname(file), { recursive: true })
	await sharp({
		create: { width: columns * side, height: Math.ceil(pictures.length / columns) * side, channels: 3, background: 'white' }
	})
		.composite(
			pictures.map((input, i) => ({
				input: Buffer.from(input),
				raw,
				left: (i % columns) * side,
				top: Math.floor(i / columns) * side
			}))
		)
		.png()
		.toFile(file)
}

/** The pictures of a sheet of the kit's. */
export async function readSheet(name: string): Promise<Pixels[]> {
	const { data, info } = await sharp(join(kit, name))
		.toColourspace('srgb')
		.removeAlpha()
		.raw()
		.toBuffer({ resolveWithObject: true })
	const columns = info.width / side
	return Array.from({ length: columns * (info.height / side) }, (_, t) => {
		const tile = new Uint8Array(side * side * 3)
		for (let y = 0; y < side; y++) {
			const from = ((Math.floor(t / columns) * side + y) * info.width + (t % columns) * side) * 3
			tile.set(data.subarray(from, from + side * 3), y * side * 3)
		}
		return tile
	})
}
