import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { deliveredOf, digests, doneOf, engineOf, nodeOf, timesDrawn } from '../at-work.ts'
import { type Stack, startStack } from '../stack.ts'

let stack: Stack
let uninterrupted: string[]
/** Long enough to be still at work whenever the test does something to it, and for longer than a node that is stopped goes on. */
const request = { model: 'scenes', prompt: 'a red sphere', width: 256, height: 256, steps: 100, guidance: 1, count: 6, seed: 5 }

beforeAll(async () => {
	stack = await startStack()
	uninterrupted = await digests(await stack.finished((await stack.submit(request)).id))
}, 300_000)
afterAll(() => stack?.close())

// `npm run bench -- faults` kills ten; `npm run fuzz:faults` does whatever can go wrong, at random.
it('nodes that are killed lose nothing, and one that is stopped hands its work back: the next ones draw the same pictures, once', {
	timeout: 300_000
}, async () => {
	const { id } = await stack.submit(request)
	await untilAtWork(id)
	const told = (line: string) => stack.output.filter((printed) => printed.includes(`${id}: ${line}`)).length
	const first = nodeOf(stack)
	process.kill(first, 'SIGKILL')
	process.kill(await untilAnotherIsAtWork(id, nodeOf, first), 'SIGTERM')
	await stack.line(new RegExp(`${id}: handed back`))
	// On a slow machine the first has left a checkpoint, too.
	const before = told('goes on from a checkpoint')
	await expect.poll(() => told('goes on from a checkpoint'), { timeout: 60_000 }).toBe(before + 1)
	process.kill(nodeOf(stack), 'SIGKILL')
	const finished = await stack.finished(id)
	expect(finished.status).toBe('succeeded')
	expect(await digests(finished)).toEqual(uninterrupted)
	expect(await timesDrawn(stack, id)).toBe(1)
	expect(told('handed back')).toBe(1)
	// By the node after the one that was stopped, and by the one after that.
	expect(told('goes on from a checkpoint')).toBe(before + 2)
})

it('a node that is stopped while it decodes finished pictures delivers them, and what is left is drawn elsewhere', {
	timeout: 300_000
}, async () => {
	const short = { ...request, steps: 1, count: 8 }
	const uninterrupted = await digests(await stack.finished((await stack.submit(short)).id))
	const { id } = await stack.submit(short)
	await expect.poll(() => deliveredOf(stack, id), { timeout: 120_000, interval: 20 }).toBeGreaterThan(0)
	process.kill(nodeOf(stack), 'SIGTERM')
	const finished = await stack.finished(id)
	expect(finished.status).toBe('succeeded')
	expect(await digests(finished)).toEqual(uninterrupted)
	expect(await timesDrawn(stack, id)).toBe(1)
})

it('a call that takes longer than the lease of the edge loses its work to nobody, and an engine that is killed comes back and goes on, within the same node', {
	timeout: 300_000
}, async () => {
	const { id } = await stack.submit(request)
	const done = await untilAtWork(id)
	const [node, engine] = [nodeOf(stack), engineOf(stack)]
	process.kill(engine, 'SIGSTOP')
	await sleep(18_000) // The edge's lease lasts 15 s, after which the queue's lock is renewed, too.
	process.kill(engine, 'SIGCONT')
	await untilAtWork(id, done)
	expect(engineOf(stack)).toBe(engine)
	process.kill(engine, 'SIGKILL')
	process.kill(await untilAnotherIsAtWork(id, engineOf, engine), 'SIGKILL')
	const finished = await stack.finished(id)
	expect(finished.status).toBe('succeeded')
	expect(await digests(finished)).toEqual(uninterrupted)
	expect(nodeOf(stack)).toBe(node)
	// What a process prints has a longer way than what the edge answers.
	await stack.line(new RegExp(id))
	expect(stack.output.filter((line) => line.includes(id))).toEqual([expect.stringMatching(/6 pictures in /)])
})

/** Until more than `beyond` of its evaluations are done; gives how many. */
async function untilAtWork(id: string, beyond = 0): Promise<number> {
	let done = 0
	await expect
		.poll(
			async () => {
				done = (await doneOf(stack, id)) ?? 0
				return done
			},
			{ timeout: 120_000, interval: 100 }
		)
		.toBeGreaterThan(beyond)
	return done
}

/** Until there is another process in the place of one that was killed, which has told of more than that had when it was there; gives it. */
async function untilAnotherIsAtWork(id: string, find: (stack: Stack) => number, killed: number): Promise<number> {
	await expect.poll(() => find(stack), { timeout: 120_000, interval: 100 }).not.toBe(killed)
	await untilAtWork(id, (await doneOf(stack, id)) ?? 0)
	return find(stack)
}
