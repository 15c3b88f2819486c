import path from 'node:path'
import { expect, test } from 'vitest'
import type { Feed } from '../onnx/convert.ts'
import { loadPart, type Part } from '../onnx/part.ts'
import { chooseProvider } from '../onnx/provider.ts'
import { generator } from './noise.ts'
import { unpacked } from './packed.ts'

const folder = path.join(import.meta.dirname, '../golden/flux/transformer-dev')
const noise = generator(1)
const feeds = {
	hidden_states: noise.normal([2, 16, 4, 6]),
	timestep: { data: [1000, 20], dims: [2] },
	encoder_hidden_states: noise.normal([2, 5, 6]),
	pooled_projections: noise.normal([2, 8]),
	guidance: { data: [3.5, 1], dims: [2] }
}

test('a transformer of tokens takes latents and answers them; one of before diffusers 0.31 is told for each row where they lie', async () => {
	const part = await loadPart(folder, await chooseProvider('cpu', 1), { milliseconds: 0 })
	const given: Readonly<Record<string, Feed>>[] = []
	/** As it is, but that it declares an axis for the batch, and goes by the first of its rows. */
	const older: Part = {
		...part,
		inputs: new Map(
			Array.from(part.inputs, ([name, port]) => [
				name,
				name.endsWith('_ids') ? { ...port, dims: ['batch_size', ...port.dims] } : port
			])
		),
		run(feeds, names) {
			given.push(feeds)
			const first = ({ data, dims: [, length = 0, numbers = 0] }: Feed): Feed => ({
				data: Array.from(data).slice(0, length * numbers),
				dims: [length, numbers]
			})
			return part.run({ ...feeds, img_ids: first(feeds.img_ids!), txt_ids: first(feeds.txt_ids!) }, names)
		}
	}
	const [answer] = await unpacked(part).run(feeds, ['out_hidden_states'])
	expect(answer!.dims).toEqual([2, 16, 4, 6])
	expect(unpacked(part).inputs.get('hidden_states')!.dims).toEqual(['batch_size', 16, 'height', 'width'])
	expect([...unpacked(part).inputs.keys()].sort()).toEqual(Object.keys(feeds).sort())

	expect(await unpacked(older).run(feeds, ['out_hidden_states'])).toEqual([answer])
	const { img_ids, txt_ids, hidden_states, timestep } = given[0]!
	const places = [0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 1, 0, 1, 2]
	expect(img_ids).toEqual({ data: Float32Array.from([...places, ...places]), dims: [2, 6, 3] })
	expect(txt_ids).toEqual({ data: new Float32Array(30), dims: [2, 5, 3] })
	expect(timestep).toEqual({ data: [1, Math.fround(0.02)], dims: [2] })
	// The second channel of the token below the first one, line by line.
	const { data } = feeds.hidden_states
	const at = (channel: number, y: number, x: number) => data[(channel * 4 + y) * 6 + x]
	expect(Array.from(hidden_states!.data).slice(3 * 64 + 4, 3 * 64 + 8)).toEqual([
		at(1, 2, 0),
		at(1, 2, 1),
		at(1, 3, 0),
		at(1, 3, 1)
	])
	await part.release()
})
