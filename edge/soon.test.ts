import { expect, it, vi } from 'vitest'
import { soon } from './soon.ts'

it('tells whether what is waited for comes, however often it is asked', async () => {
	const { promise, resolve } = Promise.withResolvers<void>()
	expect(await soon(promise, 0)).toBe(false)
	const asked = [soon(promise, 60_000), soon(promise, 60_000)]
	resolve()
	expect(await Promise.all(asked)).toEqual([true, true])
	expect(await soon(promise, 60_000)).toBe(true)
})

it('throws what that is rejected with', async () => {
	const { promise, reject } = Promise.withResolvers<void>()
	expect(await soon(promise, 0)).toBe(false)
	const asked = soon(promise, 60_000)
	reject(new Error('lost'))
	await expect(asked).rejects.toThrow('lost')
	await expect(soon(promise, 60_000)).rejects.toThrow('lost')
})

it('hangs on what does not come once, though it is asked every few seconds for hours', async () => {
	const { promise } = Promise.withResolvers<void>()
	const then = vi.spyOn(promise, 'then')
	for (let asked = 0; asked < 10; asked += 1) {
		await soon(promise, 0)
	}
	expect(then).toHaveBeenCalledTimes(1)
})
