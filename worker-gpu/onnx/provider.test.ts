import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { newModel } from '../golden/new-model.ts'
import { FLOAT } from './graph.ts'
import { encoded, newNode } from './new-node.ts'
import { chooseProvider } from './provider.ts'

test('auto says why it chose what it chose, and cuda insists', async () => {
	const chosen = await chooseProvider('auto', 3)
	expect(chosen.threads).toBe(3)
	expect(chosen.plansShapes).toBe(chosen.name === 'cuda')
	if (chosen.name === 'cuda') {
		expect((await chooseProvider('cuda')).name).toBe('cuda')
	} else {
		expect(chosen.reason).toMatch(/^no CUDA: ./)
		const obstacle = chosen.reason.replace('no CUDA: ', '')
		await expect(chooseProvider('cuda')).rejects.toMatchObject({
			name: 'CudaUnavailable',
			message: expect.stringContaining(obstacle)
		})
	}
})

test('cpu is taken as asked', async () => {
	expect(await chooseProvider('cpu')).toMatchObject({ name: 'cpu', reason: 'as asked' })
})

test("sessions tell nobody of themselves, and leave nothing in their user's home", () => {
	const home = mkdtempSync(path.join(tmpdir(), 'darkroom-'))
	const graph = path.join(import.meta.dirname, '../golden/scalar-timestep/unet/model.onnx')
	const script = `
		import { chooseProvider } from ${JSON.stringify(path.join(import.meta.dirname, 'provider.ts'))}
		import { InferenceSession } from 'onnxruntime-node'
		const { sessionOptions } = await chooseProvider('cpu', 1)
		await InferenceSession.create(${JSON.stringify(graph)}, sessionOptions)
	`
	// With CI set, ONNX Runtime is silent anyway.
	execFileSync(process.execPath, ['--input-type=module', '-e', script], { cwd: import.meta.dirname, env: { HOME: home } })
	const left = readdirSync(home, { recursive: true })
	rmSync(home, { recursive: true })
	expect(left).toEqual([])
})

test('what is drawn in another size than an output is declared in is no matter for the log', () => {
	const folder = mkdtempSync(path.join(tmpdir(), 'darkroom-'))
	const graph = newModel({
		nodes: [encoded(newNode('Relu', ['sample'], 'out_sample'))],
		weights: [],
		inputs: { sample: { type: FLOAT, dims: ['batch_size', 4, 'height', 'width'] } },
		outputs: { out_sample: { type: FLOAT, dims: ['batch_size', 4, 8, 8] } }
	})
	writeFileSync(path.join(folder, 'model.onnx'), graph)
	const script = `
		import { chooseProvider } from ${JSON.stringify(path.join(import.meta.dirname, 'provider.ts'))}
		import { loadPart } from ${JSON.stringify(path.join(import.meta.dirname, 'part.ts'))}
		const part = await loadPart(${JSON.stringify(folder)}, await chooseProvider('cpu', 1), { milliseconds: 0 })
		const [{ dims }] = await part.run({ sample: { data: new Float32Array(240), dims: [1, 4, 6, 10] } }, ['out_sample'])
		console.log(dims.join())
	`
	// With CI set, ONNX Runtime is silent anyway.
	const options = { cwd: import.meta.dirname, env: {}, encoding: 'utf8' } as const
	const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], options)
	rmSync(folder, { recursive: true })
	expect({ stdout, stderr }).toEqual({ stdout: '1,4,6,10\n', stderr: '' })
})
