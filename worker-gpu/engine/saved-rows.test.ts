import { serialize } from 'node:v8'
import { expect, test } from 'vitest'
import { SamplerName } from '../../shared/samplers.ts'
import { tiny, tinyDrawing } from '../golden/tiny.ts'
import { loadCheckpoint, planFor } from '../ldm/checkpoint.ts'
import type { Plan, Row } from '../ldm/plan.ts'
import { chooseProvider } from '../onnx/provider.ts'
import { RowsRefused, readRows, restoreRow, saveRows } from './saved-rows.ts'

const provider = await chooseProvider('cpu', 1)
const checkpoint = await loadCheckpoint(tiny, provider, { milliseconds: 0 })
const drawing = { ...tinyDrawing, steps: 8 }

async function develop(plan: Plan, row: Row, until = plan.evaluations): Promise<void> {
	while (row.k < until) {
		plan.advance(row, await plan.denoiser.predict(plan.evaluate(row)))
	}
}

test.each(SamplerName.options)('rows of %s go on to the same bits from wherever they were saved', async (sampler) => {
	const request = { ...drawing, sampler }
	const plan = await planFor(checkpoint, request)
	const uninterrupted = plan.start(5)
	await develop(plan, uninterrupted)
	for (let k = 0; k <= plan.evaluations; k++) {
		const row = plan.start(5)
		await develop(plan, row, k)
		const bytes = saveRows('here', [{ n: 2, row }])

		const elsewhere = await planFor(checkpoint, request)
		const restored = elsewhere.start(5)
		restoreRow(restored, readRows('here', bytes).get(2)!, elsewhere)
		await develop(elsewhere, restored)
		expect(restored.x).toEqual(uninterrupted.x)
		expect(restored.noise.state).toEqual(uninterrupted.noise.state)
	}
})

test('rows of another shape, or further than there is to go, are refused', async () => {
	const plan = await planFor(checkpoint, drawing)
	const row = plan.start(5)
	const saved = readRows('here', saveRows('here', [{ n: 0, row }])).get(0)!
	const wide = await planFor(checkpoint, { ...drawing, width: 24 })
	expect(() => restoreRow(wide.start(5), saved, wide)).toThrow(RowsRefused)
	const { x } = readRows('here', saveRows('here', [{ n: 0, row: wide.start(5) }])).get(0)!
	const tall = { ...saved, x: { ...x, dims: [4, 12, 8] } }
	expect(() => restoreRow(wide.start(5), tall, wide)).toThrow(RowsRefused)
	const cut = { ...saved, x: { ...saved.x, data: saved.x.data.slice(1) } }
	expect(() => restoreRow(row, cut, plan)).toThrow(RowsRefused)
	expect(() => restoreRow(row, { ...saved, k: 9 }, plan)).toThrow('at most 8 evaluations, got [4,8,8] and 9')
})

test('no bytes are taken for rows but rows of the same origin', async () => {
	const plan = await planFor(checkpoint, drawing)
	const bytes = saveRows('here', [{ n: 0, row: plan.start(5) }])
	expect(() => readRows('there', bytes)).toThrow('expected rows of the same request, model and version, got others')
	for (const spoilt of [
		new Uint8Array(),
		bytes.subarray(0, 20),
		bytes.subarray(0, -1),
		serialize({ origin: 'here', rows: [] })
	]) {
		expect(() => readRows('here', spoilt)).toThrow(RowsRefused)
	}
	for (let at = 0; at < bytes.length; at += 97) {
		expect(() => readRows('here', bytes.with(at, bytes[at]! ^ 1))).toThrow(RowsRefused)
	}
})
