import { afterAll, beforeAll, expect, it } from 'vitest'
import { doneOf } from '../at-work.ts'
import { type Stack, startStack } from '../stack.ts'

let stack: Stack
beforeAll(async () => {
	stack = await startStack()
})
afterAll(() => stack?.close())

it('what is at work when its deadline comes ends there, costs nothing, and makes way for others', {
	timeout: 180_000
}, async () => {
	const balance = async () => ((await (await stack.fetch('/v1/account')).json()) as { balance: unknown }).balance
	const before = await balance()
	// Minutes of work, of which some is done in time even where the machine has much else to do.
	const endless = { model: 'scenes', prompt: 'a red sphere', width: 256, height: 256, steps: 100, count: 8 }
	const { id } = await stack.submit({ ...endless, deadline: 8 })
	await expect.poll(() => doneOf(stack, id), { timeout: 60_000, interval: 100 }).toBeGreaterThan(0)
	const late = await stack.finished(id)
	expect(late).toMatchObject({ status: 'expired', images: [] })
	await stack.line(new RegExp(`${id}: dropped: It has ended: expired\\.`))
	expect(await balance()).toEqual(before)
	expect(await stack.finished((await stack.submit({ model: 'scenes', prompt: 'a blue cube', steps: 2 })).id)).toMatchObject({
		status: 'succeeded'
	})
})
