import { createServer, type IncomingMessage, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { Darkroom, Unanswered } from './client.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** A client of a server that answers so, and what it was asked. */
async function clientOf(answer: RequestListener) {
	const asked: IncomingMessage[] = []
	const server = createServer((request, response) => {
		asked.push(request)
		answer(request, response)
	})
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
	onTestFinished(() => {
		server.closeAllConnections()
		server.close()
	})
	return { asked, client: new Darkroom({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, apiKey: 'dk_one' }) }
}

/** What comes of it, once its server has been asked `times` times and each time has said nothing for so many seconds. */
async function outcome(asked: IncomingMessage[], work: Promise<unknown>, times: number, seconds: number): Promise<unknown> {
	let outcome: unknown
	work.then(
		(value) => (outcome = { value }),
		(error) => (outcome = error)
	)
	for (let time = 1; time <= times; time++) {
		await vi.waitFor(() => expect(asked.length).toBe(time))
		expect(outcome).toBe(undefined)
		await vi.advanceTimersByTimeAsync((seconds - 1) * 1_000)
		expect([asked.length, outcome]).toEqual([time, undefined])
		await vi.advanceTimersByTimeAsync(1_000)
		await new Promise(setImmediate)
		await vi.advanceTimersByTimeAsync(1_000)
	}
	await vi.waitFor(() => expect(outcome).not.toBe(undefined))
	return outcome
}

test('a call that nobody answers ends, and so does an answer that never ends', async () => {
	const { asked, client } = await clientOf(() => {})
	expect(await outcome(asked, client.account(), 1, 30)).toBeInstanceOf(Unanswered)
	const begun = await clientOf((_, response) => void response.writeHead(200).write('{'))
	expect(await outcome(begun.asked, begun.client.account(), 1, 30)).toBeInstanceOf(Unanswered)
})

test('an order that nobody answers is sent twice, as one, and has time to arrive', async () => {
	const { asked, client } = await clientOf((request) => void request.resume())
	expect(await outcome(asked, client.create({ model: 'scenes', prompt: 'a cone' }), 2, 30)).toBeInstanceOf(Unanswered)
	const [first, second] = asked.map(({ headers }) => headers['idempotency-key'])
	expect(second).toBe(first)
	const slow = await clientOf((request) => void request.resume())
	const image = `data:image/png;base64,${'A'.repeat(64 * 10_000)}`
	expect(await outcome(slow.asked, slow.client.create({ model: 'scenes', image }), 2, 40)).toBeInstanceOf(Unanswered)
})
