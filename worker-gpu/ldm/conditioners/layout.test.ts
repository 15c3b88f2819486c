import path from 'node:path'
import { expect, test } from 'vitest'
import { distance } from '../../golden/unpack.ts'
import { loadPart } from '../../onnx/part.ts'
import { chooseProvider } from '../../onnx/provider.ts'
import { unstack } from '../../onnx/rows.ts'

const folder = path.join(import.meta.dirname, '../../models/scenes-layout/layout_encoder')

test('the shipped encoder of layouts answers one row for each that it is asked, and for each what it answers alone', async () => {
	const encoder = await loadPart(folder, await chooseProvider('cpu', 1), { milliseconds: 0 })
	const none = 1024
	const boxes = [
		[none, none, none, none, none, none, none, none, none],
		[3, 33, 600, none, none, none, none, none, none],
		[31, 0, 1023, 7, 500, 900, 12, 100, 400]
	]
	const encode = async (rows: number[][]) => {
		const [hidden] = await encoder.run({ input_ids: { data: rows.flat(), dims: [rows.length, 9] } }, ['last_hidden_state'])
		return unstack(hidden!)
	}
	const together = await encode(boxes)
	expect(together).toHaveLength(boxes.length)
	for (const [i, row] of boxes.entries()) {
		const alone = await encode([row])
		expect(alone).toHaveLength(1)
		expect(distance(alone[0]!.data, together[i]!.data)).toBeLessThan(1e-5)
	}
	await encoder.release()
})
