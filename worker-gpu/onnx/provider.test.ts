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
