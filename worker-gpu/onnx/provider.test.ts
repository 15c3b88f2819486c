import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
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
