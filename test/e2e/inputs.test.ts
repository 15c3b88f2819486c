import { createHash } from 'node:crypto'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import type { Upload } from '../../shared/contract/upload.ts'
import { decodePicture, type Judge, loadJudge } from '../eval/judge.ts'
import { type Stack, startStack } from '../stack.ts'

const wait = { prefer: 'wait=60' }
const side = 128
/** The right half. */
const mask = await sharp({ create: { width: side / 2, height: side, channels: 3, background: '#000000' } })
	.extend({ right: side / 2, background: '#ffffff' })
	.png()
	.toBuffer()

const dataUri = (bytes: Uint8Array) => `data:image/png;base64,${Buffer.from(bytes).toString('base64')}`
const rgb = async (bytes: Uint8Array) => (await sharp(bytes).removeAlpha().raw().toBuffer()) as Buffer

/** The mean difference of samples, in columns `from` to `to`. */
function difference(a: Buffer, b: Buffer, from: number, to: number): number {
	let sum = 0
	for (let y = 0; y < side; y++) {
		for (let i = (y * side + from) * 3; i < (y * side + to) * 3; i++) {
			sum += Math.abs(a[i]! - b[i]!)
		}
	}
	return sum / (side * (to - from) * 3)
}

describe('pictures', () => {
	let stack: Stack
	let judge: Judge
	/** A red sphere. */
	let original: Generation
	let image: Uint8Array
	beforeAll(async () => {
		judge = await loadJudge()
		stack = await startStack()
		original = await stack.submit({ model: 'scenes', prompt: 'a large shiny red sphere on a grey floor', seed: 7 }, wait)
		image = await download(original)
	})
	afterAll(() => stack?.close())

	const download = async ({ images }: Generation) => new Uint8Array(await (await fetch(images[0]!.url)).arrayBuffer())
	const draw = async (fields: object) => {
		const generation = await stack.submit({ model: 'scenes', seed: 3, image: dataUri(image), ...fields }, wait)
		expect(generation).toMatchObject({ status: 'succeeded', error: null })
		return { generation, picture: await download(generation) }
	}
	const seen = async (picture: Uint8Array) => (await judge([await decodePicture(picture)]))[0]!

	it('are drawn anew as far as their strength says, and stay in place below it', async () => {
		const prompt = 'a large shiny blue sphere on a grey floor'
		const { generation, picture } = await draw({ prompt, strength: 0.8 })
		expect(generation.request).toMatchObject({ task: 'image-to-image', width: side, height: side })
		expect(await seen(picture)).toMatchObject({ colour: 'blue', shape: 'sphere' })
		const { picture: faint } = await draw({ prompt, strength: 0.1 })
		expect(await seen(faint)).toMatchObject({ colour: 'red', shape: 'sphere' })
		const [before, little, much] = await Promise.all([image, faint, picture].map(rgb))
		expect(difference(before!, little!, 0, side)).toBeLessThan(difference(before!, much!, 0, side) / 2)
	})

	it('keep what a mask does not cover', async () => {
		const { generation, picture } = await draw({ prompt: 'a large shiny green cube on a grey floor', mask: dataUri(mask) })
		expect(generation.request).toMatchObject({ task: 'inpainting', strength: 1 })
		const [before, after] = await Promise.all([image, picture].map(rgb))
		expect(difference(before!, after!, 0, side / 2 - 8)).toBeLessThan(6)
		expect(difference(before!, after!, side / 2, side)).toBeGreaterThan(12)
	})

	it('are told to be drawn anew nowhere by a mask that is black', async () => {
		const black = await sharp(mask).linear(0, 0).png().toBuffer()
		const { generation, picture } = await draw({ prompt: 'a green cube', steps: 2, mask: dataUri(black) })
		expect(generation.warnings).toMatchObject([{ code: 'mask-empty' }])
		const [before, after] = await Promise.all([image, picture].map(rgb))
		expect(difference(before!, after!, 0, side)).toBeLessThan(6)
	})

	it('come from an upload, which writes once, or from a URL, and draw the same', async () => {
		const announced = {
			content_type: 'image/png',
			size: image.length,
			md5: createHash('md5').update(image).digest('base64')
		}
		const answer = await stack.fetch('/v1/uploads', {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify(announced)
		})
		const { id, url, headers } = (await answer.json()) as Upload
		const put = (bytes: Uint8Array) => fetch(url, { method: 'PUT', headers, body: new Uint8Array(bytes) })
		expect((await put(image.map((byte) => byte ^ 1))).status).toBe(400)
		expect((await put(image)).status).toBe(200)
		expect((await put(image)).status).toBe(412)
		const fields = { prompt: 'a yellow cone', steps: 4 }
		const sources = [id, original.images[0]!.url, dataUri(image)]
		const drawn = await Promise.all(sources.map((source) => draw({ ...fields, image: source })))
		const pixels = await Promise.all(drawn.map(({ picture }) => rgb(picture)))
		expect(pixels[1]).toEqual(pixels[0])
		expect(pixels[2]).toEqual(pixels[0])
	})

	it('that are no whole picture are refused; those whose pixels make no sense fail the generation, and say so', async () => {
		const order = (bytes: Uint8Array) => ({ model: 'scenes', prompt: 'a red cube', image: dataUri(bytes) })
		await expect(stack.submit(order(image.slice(0, image.length / 2)), wait)).rejects.toThrow(/cut off/)
		const noise = new Uint8Array(await sharp(image).avif().toBuffer())
		const generation = await stack.submit(order(noise.fill(0xff, noise.length / 2)), wait)
		expect(generation).toMatchObject({
			status: 'failed',
			error: { detail: expect.stringMatching(/^image: expected a whole PNG/) }
		})
	})

	it('and prompts that are cut off are told of', async () => {
		const prompt = `a red sphere ${'on a grey floor '.repeat(40)}and a small matte cyan cone`
		const { generation } = await draw({ prompt, steps: 2, width: 96, height: 96 })
		expect(generation.warnings.map(({ code }) => code)).toEqual(['image-resized', 'prompt-truncated'])
		expect(generation.warnings[1]!.detail).toContain('and a small matte cyan cone')
	})

	it.each(['webp', 'jpeg', 'avif'] as const)('come out as %s, and say that a model made them', async (output_format) => {
		const generation = await stack.submit({ model: 'scenes', prompt: 'a red sphere', steps: 2, output_format }, wait)
		const answer = await fetch(generation.images[0]!.url)
		expect(answer.headers.get('content-type')).toBe(`image/${output_format}`)
		const metadata = await sharp(await answer.arrayBuffer()).metadata()
		expect(metadata).toMatchObject({ width: side, height: side })
		expect(metadata.xmpAsString).toContain('trainedAlgorithmicMedia')
	})
})
