import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Problem } from '../../shared/contract/problem.ts'
import { type BareEdge, startBareEdge } from '../edge.ts'

const good = { model: 'scenes', prompt: 'a red sphere' }

const fields: { what: string; body: object; pointer: string; expected: RegExp; received: RegExp; code?: string }[] = [
	{
		what: 'an unknown model',
		body: { ...good, model: 'sd9' },
		pointer: '/model',
		expected: /scenes/,
		received: /sd9/,
		code: 'unknown-model'
	},
	{ what: 'an unknown field', body: { ...good, stepz: 3 }, pointer: '/stepz', expected: /steps/, received: /stepz/ },
	{ what: 'a wrong type', body: { ...good, steps: '25' }, pointer: '/steps', expected: /number|int/, received: /"25"/ },
	{ what: 'null', body: { ...good, seed: null }, pointer: '/seed', expected: /number|int/, received: /null/ },
	{ what: 'a fraction', body: { ...good, steps: 2.5 }, pointer: '/steps', expected: /int/, received: /2\.5/ },
	{ what: 'a width off the grid', body: { ...good, width: 100 }, pointer: '/width', expected: /multiple of 32/, received: /100/ },
	{ what: 'a height above the limit', body: { ...good, height: 4096 }, pointer: '/height', expected: /256/, received: /4096/ },
	{ what: 'a negative width', body: { ...good, width: -64 }, pointer: '/width', expected: /96/, received: /-64/ },
	{ what: 'an empty prompt', body: { ...good, prompt: '' }, pointer: '/prompt', expected: /1/, received: /""|0/ },
	{ what: 'a blank prompt', body: { ...good, prompt: ' \n ' }, pointer: '/prompt', expected: /1/, received: /.*/ },
	{
		what: 'a long prompt',
		body: { ...good, prompt: 'x'.repeat(1001) },
		pointer: '/prompt',
		expected: /1000/,
		received: /1001|x{3}/
	},
	{ what: 'no prompt', body: { model: 'scenes' }, pointer: '/prompt', expected: /string/, received: /undefined|nothing|missing/ },
	{ what: 'no pictures', body: { ...good, count: 0 }, pointer: '/count', expected: /1/, received: /0/ },
	{ what: 'too many pictures', body: { ...good, count: 9 }, pointer: '/count', expected: /8/, received: /9/ },
	{
		what: 'a seed above uint32',
		body: { ...good, seed: 2 ** 32 },
		pointer: '/seed',
		expected: /4294967295/,
		received: /4294967296/
	},
	{ what: 'too many steps', body: { ...good, steps: 1e9 }, pointer: '/steps', expected: /100/, received: /1000000000/ },
	{ what: 'endless guidance', body: { ...good, guidance: 1e300 }, pointer: '/guidance', expected: /20/, received: /1e\+?300/ },
	{ what: 'a list', body: [good], pointer: '', expected: /object/, received: /array/ }
]

describe('bad input', () => {
	let edge: BareEdge
	let key: string
	beforeAll(async () => {
		edge = await startBareEdge()
		key = await edge.key('tester')
	})
	afterAll(() => edge?.close())

	const post = (body: string, headers: Record<string, string> = {}) =>
		fetch(`${edge.url}/v1/generations`, {
			method: 'POST',
			headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json', ...headers },
			body
		})

	async function problem(answer: Response, status: number, code: string): Promise<Problem> {
		const text = await answer.text()
		expect({ status: answer.status, type: answer.headers.get('content-type'), text }).toMatchObject({
			status,
			type: 'application/problem+json',
			text: expect.stringContaining(`urn:darkroom:problem:${code}"`)
		})
		const body = JSON.parse(text) as Problem
		expect(body).toMatchObject({ status, instance: answer.headers.get('x-request-id') })
		return body
	}

	it.each(fields)(
		'$what: names the field, expected against got',
		async ({ body, pointer, expected, received, code = 'invalid-request' }) => {
			const { errors } = await problem(await post(JSON.stringify(body)), 422, code)
			expect(errors).toEqual([
				{
					pointer,
					detail: expect.any(String),
					expected: expect.stringMatching(expected),
					received: expect.stringMatching(received)
				}
			])
		}
	)

	it('reports every field at once', async () => {
		const { errors } = await problem(
			await post(JSON.stringify({ ...good, width: 100, count: 0, seed: -1 })),
			422,
			'invalid-request'
		)
		expect(errors!.map((error) => error.pointer).sort()).toEqual(['/count', '/seed', '/width'])
	})

	it('malformed JSON', async () => {
		await problem(await post('{"model":"scenes",'), 400, 'malformed-json')
	})

	it('an empty body', async () => {
		await problem(await post(''), 400, 'malformed-json')
	})

	it('another content type', async () => {
		await problem(
			await post('model=scenes', { 'content-type': 'application/x-www-form-urlencoded' }),
			415,
			'unsupported-media-type'
		)
	})

	it('a body of 25 MB', async () => {
		await problem(await post(JSON.stringify({ ...good, prompt: 'x'.repeat(25e6) })), 413, 'payload-too-large')
	})

	it('a body of 25 MB that does not say its length', async () => {
		const stream = new Blob([JSON.stringify({ ...good, prompt: 'x'.repeat(25e6) })]).stream()
		const answer = await fetch(`${edge.url}/v1/generations`, {
			method: 'POST',
			headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
			body: stream,
			duplex: 'half'
		} as RequestInit)
		await problem(answer, 413, 'payload-too-large')
	})

	it.each([
		['JSON', '/v1/generations', 'application/json'],
		['a form', '/openai/v1/images/edits', 'multipart/form-data; boundary=b']
	])('%s of 45 MB that does not say its length: who sends all of it sees why', async (_, path, type) => {
		const headers = { authorization: `Bearer ${key}`, 'content-type': type }
		const sending = request(`${edge.url}${path}`, { method: 'POST', headers })
		const pieces = Readable.from(Array.from({ length: 450 }, () => Buffer.alloc(1e5, 'x')))
		const [[answer]] = (await Promise.all([once(sending, 'response'), pipeline(pieces, sending)])) as [[IncomingMessage], unknown]
		expect([answer.statusCode, await text(answer)]).toEqual([413, expect.stringContaining('payload')])
	})

	it('a large body for which no room is made: who sends it all the same sees why', async () => {
		const body = JSON.stringify({ ...good, image: `data:image/png;base64,${'A'.repeat(19e6)}` })
		const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': body.length }
		const open = () => request(`${edge.url}/v1/generations`, { method: 'POST', headers })
		const first = open().on('error', () => {})
		await new Promise((resolve) => first.write(body.slice(1), resolve)) // And the last byte never comes.
		const second = open()
		// As clients that give up at the first error of their connection.
		const answered = Promise.all([once(second, 'response'), once(second, 'finish')])
		second.end(body)
		const [[answer]] = (await answered) as [[IncomingMessage], unknown]
		expect(answer.headers['retry-after']).toBe('5')
		expect(JSON.parse(await text(answer))).toMatchObject({ type: 'urn:darkroom:problem:busy', status: 503 })
		first.destroy()
	})

	it('a deeply nested body', async () => {
		const answer = await post(`{"model":"scenes","prompt":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
		expect([400, 422]).toContain(answer.status)
	})

	it.each([
		['no key', undefined],
		['another scheme', 'Basic ZGVtbzpkZW1v'],
		['a word', 'Bearer hello'],
		['a forged key', 'Bearer dk_tester_0123456789abcdefghjkmnpqrs_0123456789abcdef']
	])('%s', async (_, authorization) => {
		const answer = await fetch(`${edge.url}/v1/generations`, {
			method: 'POST',
			headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
			body: JSON.stringify(good)
		})
		await problem(answer, 401, 'unauthorized')
		expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/)
	})

	it.each([
		['our API', '/v1/generations'],
		['an adapter', '/openai/v1/images/generations']
	])('a wrong key, before a body of 15 MB that %s does not want', async (_, path) => {
		const headers = { authorization: 'Bearer hello', 'content-type': 'application/json' }
		for (let i = 0; i < 3; i++) {
			const answer = await fetch(`${edge.url}${path}`, { method: 'POST', headers, body: 'x'.repeat(15e6) })
			expect(answer.status).toBe(401)
			await answer.text()
		}
	})

	it('a body that never comes, with no key', async () => {
		const headers = { 'content-type': 'application/json', 'content-length': 100 }
		const calling = request(`${edge.url}/v1/generations`, { method: 'POST', headers })
		calling.flushHeaders()
		const [answer] = (await once(calling, 'response')) as [IncomingMessage]
		expect(answer.statusCode).toBe(401)
		calling.destroy()
	})

	it.concurrent.each([
		['of JSON', '/v1/generations', 9_000],
		['of so much that room is kept for it', '/v1/generations', 70_000],
		['for a route of small ones', '/v1/uploads', 9_000],
		["for OpenAI's clients", '/openai/v1/images/edits', 70_000],
		["for Replicate's", '/replicate/v1/predictions', 9_000],
		["for fal's", '/fal/queue/darkroom/scenes', 9_000]
	])('a body that trickles, %s', async (_, path, length) => {
		const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': length }
		const calling = request(`${edge.url}${path}`, { method: 'POST', headers })
		const trickling = setInterval(() => calling.write(' '), 100)
		const [answer] = (await once(calling, 'response')) as [IncomingMessage]
		clearInterval(trickling)
		expect(answer.statusCode).toBe(408)
		expect(await text(answer)).toContain(`Expected the body, of at most ${length} bytes, within `)
		calling.destroy()
	})

	it.concurrent('a body that trickles, and is too large for a route of small ones', async () => {
		const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', 'content-length': 17_000 }
		const calling = request(`${edge.url}/v1/uploads`, { method: 'POST', headers })
		const trickling = setInterval(() => calling.write(' '), 100)
		const [answer] = (await once(calling, 'response')) as [IncomingMessage]
		clearInterval(trickling)
		expect(answer.statusCode).toBe(413)
		calling.destroy()
	})

	it('a key with one letter changed', async () => {
		const at = key.length - 30
		const changed = key.slice(0, at) + (key[at] === 'a' ? 'b' : 'a') + key.slice(at + 1)
		await problem(await post(JSON.stringify(good), { authorization: `Bearer ${changed}` }), 401, 'unauthorized')
	})

	it('an unknown route, and an unknown method', async () => {
		await problem(await fetch(`${edge.url}/v1/nothing`), 404, 'not-found')
		await problem(await fetch(`${edge.url}/v1/models`, { method: 'DELETE' }), 405, 'method-not-allowed')
	})

	it('the admin routes without the admin token', async () => {
		const answer = await fetch(`${edge.url}/v1/admin/accounts/tester/keys`, {
			method: 'POST',
			headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
			body: '{"name":"mine"}'
		})
		await problem(answer, 401, 'unauthorized')
	})

	it('puts nothing in the queue', async () => {
		const client = new pg.Client(edge.queue.url)
		await client.connect()
		const { rows } = await client.query("select to_regclass('bullmq.job') as made")
		const count = rows[0].made ? Number((await client.query('select count(*) from bullmq.job')).rows[0].count) : 0
		await client.end()
		expect(count).toBe(0)
	})

	it("another account's id, and an id that is none", async () => {
		const mine = (await (await post(JSON.stringify(good))).json()) as { id: string }
		const stranger = await edge.key('stranger')
		const read = (id: string, bearer: string) =>
			fetch(`${edge.url}/v1/generations/${id}`, { headers: { authorization: `Bearer ${bearer}` } })
		expect((await read(mine.id, key)).status).toBe(200)
		await problem(await read(mine.id, stranger), 404, 'not-found')
		await problem(await read("gen_'; drop table generations", key), 404, 'not-found')
	})
})
