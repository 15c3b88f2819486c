import { expect, test } from 'vitest'
import { inParts } from './in-parts.ts'

test('work goes from pause to pause, and no further', async () => {
	const done: number[] = []
	const goOn = inParts(async (pause) => {
		for (let part = 1; part < 3; part++) {
			done.push(part)
			await pause()
		}
		done.push(3)
	})
	expect([await goOn(), [...done]]).toEqual([false, [1]])
	expect([await goOn(), [...done]]).toEqual([false, [1, 2]])
	expect([await goOn(), [...done]]).toEqual([true, [1, 2, 3]])
})

test('the part that fails says so, the first one or a later one', async () => {
	const failing = (pauses: number) =>
		inParts(async (pause) => {
			for (let i = 0; i < pauses; i++) {
				await pause()
			}
			throw new Error('no more')
		})
	await expect(failing(0)()).rejects.toThrow('no more')
	const later = failing(2)
	expect(await later()).toBe(false)
	expect(await later()).toBe(false)
	await expect(later()).rejects.toThrow('no more')
})
