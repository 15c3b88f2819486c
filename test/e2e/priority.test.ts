import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { type Stack, startStack } from '../stack.ts'

let stack: Stack
beforeAll(async () => {
	stack = await startStack()
})
afterAll(() => stack?.close())

it('normal work goes first though work of low priority has all places of the node, and that goes on afterwards', {
	timeout: 180_000
}, async () => {
	// Minutes of work.
	const endless = { model: 'scenes', prompt: 'a red sphere', width: 256, height: 256, steps: 100, priority: 'low' } as const
	const ids = await Promise.all(Array.from({ length: 20 }, async () => (await stack.submit(endless)).id))
	const all = () => Promise.all(ids.map(async (id) => (await (await stack.fetch(`/v1/generations/${id}`)).json()) as Generation))
	const among = async (status: string) => (await all()).filter((one) => one.status === status).length
	const done = async () => (await all()).reduce((sum, { progress }) => sum + (progress?.done ?? 0), 0)
	await expect.poll(() => among('processing'), { timeout: 60_000 }).toBe(16)
	const { id } = await stack.submit({ model: 'scenes', prompt: 'a blue cube', steps: 20 })
	expect(await stack.finished(id)).toMatchObject({ status: 'succeeded' })
	expect([await among('processing'), await among('queued')]).toEqual([16, 4])
	const before = await done()
	await expect.poll(done, { timeout: 60_000 }).toBeGreaterThan(before)
})
