import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Generation } from '../../shared/contract/generation.ts'
import { type Consumer, Job, openConsumer, openProducer } from '../../shared/queue.ts'
import { type BareEdge, startBareEdge } from '../edge.ts'

const accounts = 10
/** More than the edge shows of an account's to the queue at once. */
const queued = 40
/** Milliseconds that the node takes for a picture. */
const pictureTime = 150

let edge: BareEdge
let consumer: Consumer
let worker: ReturnType<Consumer['worker']> | undefined
// A second try finds nobody in line whom the first has left there.
beforeEach(async () => {
	edge = await startBareEdge()
	consumer = openConsumer(edge.queue.url)
})
afterEach(async () => {
	await worker?.close()
	await consumer?.close()
	await edge?.close()
})

it('a newcomer is next, and everyone who waits moves on', { timeout: 300_000 }, async () => {
	const json = { 'content-type': 'application/json' }
	const submit = async (key: string): Promise<Generation> => {
		const body = JSON.stringify({ model: 'scenes', prompt: 'a red sphere' })
		const headers = { ...json, authorization: `Bearer ${key}` }
		const answer = await fetch(`${edge.url}/v1/generations`, { method: 'POST', headers, body })
		expect(answer.status).toBe(202)
		return (await answer.json()) as Generation
	}
	const owners = new Map<string, number>()
	for (let account = 0; account < accounts; account++) {
		const key = await edge.key(`crowd-${account}`)
		for (let i = 0; i < queued; i += 10) {
			for (const { id } of await Promise.all(Array.from({ length: 10 }, () => submit(key)))) {
				owners.set(id, account)
			}
		}
	}

	/** What a node of one picture at a time has started, in order. */
	const started: string[] = []
	/** None is over before that is. */
	let held = Promise.resolve()
	worker = consumer.worker(
		'scenes',
		async ({ data }) => {
			const { callback, token, generation } = Job.parse(data)
			const say = (name: string, body: object) =>
				fetch(`${callback}/${name}`, {
					method: 'POST',
					headers: { ...json, authorization: `Bearer ${token}` },
					body: JSON.stringify(body)
				})
			expect((await say('start', { run: 'the-only-run' })).status).toBe(200)
			started.push(generation)
			await sleep(pictureTime)
			await held
			await say('finish', { outcome: 'failed', detail: 'nothing is drawn here' })
		},
		{ concurrency: 1 }
	)
	const until = async (count: number) => {
		while (started.length < count) {
			await sleep(10)
		}
	}
	await until(2 * accounts)
	const newcomer = await edge.key('newcomer')
	const onItsWay = Promise.withResolvers<void>()
	held = onItsWay.promise
	const { id } = await submit(newcomer)
	const producer = openProducer(edge.queue.url)
	await expect.poll(() => producer.waiting('scenes', 1_000)).toContain(`${id}.1`)
	await producer.close()
	const before = started.length
	onItsWay.resolve()
	await until(before + 4 * accounts)
	// One picture may have been begun already.
	expect(started.indexOf(id) - before).toBeLessThanOrEqual(1)
	expect(started.indexOf(id)).toBeGreaterThan(-1)
	const turns = Array.from(
		{ length: accounts },
		(_, account) => started.slice(-3 * accounts).filter((each) => owners.get(each) === account).length
	)
	expect(Math.min(...turns)).toBeGreaterThanOrEqual(1)
	console.log(
		`newcomer after ${started.indexOf(id) - before} pictures; turns of the others in ${3 * accounts}: ${turns.join(' ')}`
	)
})
