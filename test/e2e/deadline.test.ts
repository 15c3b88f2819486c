import { afterAll, beforeAll, expect, it } from 'vitest'
import { doneOf, engineOf } from '../at-work.ts'
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
	// Some of it is done in time even where the machine has much else to do, and the rest waits until it is too late, lest a fast one be done with all.
	const long = { model: 'scenes', prompt: 'a red sphere', width: 256, height: 256, steps: 100, count: 8 }
	const { id } = await stack.submit({ ...long, deadline: 8 })
	await expect.poll(() => doneOf(stack, id), { timeout: 60_000, interval: 100 }).toBeGreaterThan(0)
	const engine = engineOf(stack)
	process.kill(engine, 'SIGSTOP')
	const late = await stack.finished(id)
	process.kill(engine, 'SIGCONT')
	expect(late).toMatchObject({ status: 'expired', images: [] })
	await stack.line(new RegExp(`${id}: dropped: It has ended: expired\\.`))
	expect(await balance()).toEqual(before)
	expect(await stack.finished((await stack.submit({ model: 'scenes', prompt: 'a blue cube', steps: 2 })).id)).toMatchObject({
		status: 'succeeded'
	})
})
