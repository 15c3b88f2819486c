import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { expect, test } from 'vitest'
import { goldenModels, worstMisses } from '../../test/eval/misses.ts'
import { asOnCuda, chooseProvider } from '../../worker-gpu/onnx/provider.ts'

test('what golden files hold is drawn as the engine draws on CUDA: by graphs that are told their shape', async () => {
	const scratch = await mkdtemp(path.join(tmpdir(), 'darkroom-'))
	try {
		const cpu = await chooseProvider('cpu', 1)
		const profiled = { enableProfiling: true, profileFilePrefix: path.join(scratch, 'session') }
		const provider = { ...asOnCuda(cpu), sessionOptions: { ...cpu.sessionOptions, ...profiled } }
		const model = goldenModels.find(({ name }) => name === 'pixels')!
		await worstMisses(model, { provider, each: 1 })
		// Its U-Net was opened for any shape, and for the one that was drawn.
		expect(await readdir(scratch)).toHaveLength(2)
	} finally {
		await rm(scratch, { recursive: true })
	}
})
