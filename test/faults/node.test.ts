import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { descendants } from '../processes.ts'
import { type Stack, startStack } from '../stack.ts'

// `npm start` starts a node again whose process has ended, whatever ended it.

let stack: Stack
let uninterrupted: string[]
/** Long enough to be still at work whenever the test does something to it, and to leave a checkpoint on the way. */
const request = { model: 'scenes', prompt: 'a red sphere', width: 256, height: 256, steps: 100, count: 2, seed: 5 }

beforeAll(async () => {
	stack = await startStack()
	uninterrupted = await pictures(await stack.finished((await stack.submit(request)).id))
}, 300_000)
afterAll(() => stack?.close())

it('a node that is killed loses nothing: the next one draws the same pictures, once', { timeout: 300_000 }, async () => {
	const { id } = await stack.submit(request)
	await untilAtWork(id)
	process.kill(node(), 'SIGKILL')
	const finished = await stack.finished(id)
	expect(finished.status).toBe('succeeded')
	expect(await pictures(finished)).toEqual(uninterrupted)
	expect(stack.output.filter((line) => line.includes(id) && / in [0-9.]+ s, /.test(line))).toHaveLength(1)
})

it('a node that is stopped hands its work back, and the next one goes on at once from where it was', {
	timeout: 300_000
}, async () => {
	const { id } = await stack.submit(request)
	await untilAtWork(id)
	process.kill(node(), 'SIGTERM')
	const finished = await stack.finished(id)
	expect(finished.status).toBe('succeeded')
	expect(await pictures(finished)).toEqual(uninterrupted)
	for (const line of ['handed back', 'goes on from a checkpoint']) {
		expect(stack.output.filter((printed) => printed.includes(`${id}: ${line}`))).toHaveLength(1)
	}
})

it('an engine that is killed comes back, and goes on within the same node', { timeout: 300_000 }, async () => {
	const { id } = await stack.submit(request)
	let done = 0
	for (let kills = 0; kills < 3; kills++) {
		// Further than at the last kill, by more than is told late: three crashes in a row in the same place would be its own doing.
		done = (await untilAtWork(id, done)) + 25
		process.kill(engine(), 'SIGKILL')
	}
	const finished = await stack.finished(id)
	expect(finished.status).toBe('succeeded')
	expect(await pictures(finished)).toEqual(uninterrupted)
})

const find = (pattern: RegExp) => descendants(stack.process.pid!).find(({ command }) => pattern.test(command))!.pid
const node = () => find(/worker-gpu\/main\.ts/)
const engine = () => find(/worker-gpu\/engine\/process\.ts/)

/** Until more than `beyond` of its 200 evaluations are done; gives how many. */
async function untilAtWork(id: string, beyond = 0): Promise<number> {
	const progress = async () => ((await (await stack.fetch(`/v1/generations/${id}`)).json()) as Generation).progress?.done ?? 0
	let done = 0
	await expect
		.poll(
			async () => {
				done = await progress()
				return done
			},
			{ timeout: 60_000, interval: 100 }
		)
		.toBeGreaterThan(beyond)
	return done
}

const pictures = ({ images }: Generation) =>
	Promise.all(
		images.map(async ({ url }) => {
			const bytes = await (await fetch(url)).arrayBuffer()
			return createHash('sha256').update(new Uint8Array(bytes)).digest('hex')
		})
	)
