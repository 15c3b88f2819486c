import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openEdge } from './edge.ts'

interface Heard {
	line: string
	authorization: string | undefined
	body: string
}
/** What the other side answers, call by call; the last one for ever. `hang up` breaks the connection; a string is the body of a 200, bytes are an object of storage's. */
type Answers = ({ status: number; body?: unknown } | string | Buffer)[]

const etag = { etag: '"of what is stored"' }

let server: Server
let origin: string
let answers: Answers
let heard: Heard[]

beforeEach(async () => {
	heard = []
	server = createServer(async (request, response) => {
		heard.push({
			line: `${request.method} ${request.url}`,
			authorization: request.headers.authorization,
			body: await text(request)
		})
		const answer = answers.length > 1 ? answers.shift()! : answers[0]!
		if (answer === 'hang up') {
			request.socket.destroy()
		} else if (typeof answer === 'string') {
			response.end(answer)
		} else if (Buffer.isBuffer(answer)) {
			response.writeHead(200, etag).end(answer)
		} else {
			response.writeHead(answer.status).end(answer.body === undefined ? undefined : JSON.stringify(answer.body))
		}
	})
	await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
	origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(() => {
	server.closeAllConnections()
	server.close()
})

const open = (signal = new AbortController().signal) =>
	openEdge({ generation: 'gen_1', epoch: 2, callback: `${origin}/callbacks/a/gen_1/2`, token: 'secret' }, signal)

test('posts to the callback with its token', async () => {
	answers = ['{"watched":false}']
	await open().progress({ done: 1, total: 2 })
	expect(heard).toEqual([
		{ line: 'POST /callbacks/a/gen_1/2/progress', authorization: 'Bearer secret', body: '{"done":1,"total":2}' }
	])
})

test('asks again after lost connections, 429 and 5xx', async () => {
	answers = ['hang up', { status: 503 }, { status: 429 }, '{}']
	await open().finish({ outcome: 'failed', detail: 'x' })
	expect(heard).toHaveLength(4)
})

test('asks again where something between answers in the edge’s place', async () => {
	answers = ['<html>Please sign in.</html>', '"later"', '{}', '{"watched":', '{"watched":true}']
	expect(await open().progress({ done: 1, total: 2 })).toBe(true)
	expect(heard).toHaveLength(5)
	answers = ['<html>Please sign in.</html>', '', { status: 204 }, '{}']
	await open().finish({ outcome: 'failed', detail: 'x' })
	expect(heard).toHaveLength(9)
	// As Cloudflare has them for programs, of its own: RFC 9457, too.
	const blocked = {
		type: 'https://developers.cloudflare.com/…/error-1020/',
		title: 'Error 1020',
		status: 403,
		detail: 'Blocked.'
	}
	answers = ['<html>', '<html>', '"no"', blocked].map((body, i) => ({ status: [403, 404, 409, 403][i]!, body }))
	answers.push({ status: 408 }, '{"watched":false}')
	await open().progress({ done: 1, total: 2 })
	expect(heard).toHaveLength(15)
})

test.each(['superseded', 'ended'])('409 %s ends the work', async (code) => {
	// With a field that this version does not know.
	answers = [{ status: 409, body: { type: `urn:darkroom:problem:${code}`, detail: 'It is over.', colour: 'red' } }]
	await expect(open().start('run-of-test')).rejects.toMatchObject({ name: 'WorkEnded', message: 'It is over.' })
	expect(heard).toHaveLength(1)
})

test('other refusals are final too, and say what was answered', async () => {
	answers = [{ status: 401, body: { type: 'urn:darkroom:problem:unauthorized', detail: 'Not for you.' } }]
	await expect(open().progress({ done: 0, total: 1 })).rejects.toMatchObject({
		name: 'EdgeRefused',
		code: 'unauthorized',
		message: 'progress: expected success, got 401 unauthorized (Not for you.)'
	})
	expect(heard).toHaveLength(1)
})

test('an answer that is not the contract’s is not taken', async () => {
	answers = [{ status: 200, body: { request: {}, lease: 'long', delivered: [] } }]
	await expect(open().start('run-of-test')).rejects.toThrow()
})

test('a PUT that is there already is as good as done', async () => {
	answers = [{ status: 412 }]
	await open().put({ url: `${origin}/object`, headers: { 'if-none-match': '*' } }, new Uint8Array(3))
	expect(heard.map(({ line, body }) => [line, body.length])).toEqual([['PUT /object', 3]])
})

test('storage is asked again where another PUT is not over, or the bytes came too slowly', async () => {
	const statuses = { ConditionalRequestConflict: 409, OperationAborted: 409, RequestTimeout: 400 }
	answers = [...Object.entries(statuses).map(([code, status]) => ({ status, body: `<Code>${code}</Code>` })), { status: 412 }]
	await open().put({ url: `${origin}/object`, headers: {} }, new Uint8Array(3))
	expect(heard).toHaveLength(4)
})

test('storage is asked again where something between answers in its place', async () => {
	answers = [...[200, 301, 400, 404, 413].map((status) => ({ status, body: '<html>' })), Buffer.from('the bytes')]
	expect(`${await open().read(`${origin}/object`, 100)}`).toBe('the bytes')
	expect(heard).toHaveLength(6)
	answers = [{ status: 404, body: '<html>' }, '<html>Please sign in.</html>', Buffer.from('')]
	await open().put({ url: `${origin}/object`, headers: {} }, new Uint8Array(3))
	expect(heard).toHaveLength(9)
})

test('storage is asked again for what came shorter than it is there, or as something else', async () => {
	const whole = Buffer.from('the whole of the bytes')
	const pieces = [whole.subarray(0, 9), Buffer.from('THE WHOLE OF THE BYTES'), whole]
	server.removeAllListeners('request')
	server.on('request', (_, response) => {
		response.writeHead(200, { etag: `"${createHash('md5').update(whole).digest('hex')}"` }).end(pieces.shift())
	})
	expect(await open().read(`${origin}/object`, 100)).toEqual(whole)
	expect(pieces).toEqual([])
})

test('what storage refuses is told by its code and message', async () => {
	const body = '<?xml version="1.0"?>\n<Error><Code>NoSuchKey</Code><Message>The key does not exist.</Message></Error>'
	server.removeAllListeners('request')
	server.on('request', (_, response) => response.writeHead(404).end(body))
	await expect(open().read(`${origin}/object`, 100)).rejects.toMatchObject({
		name: 'EdgeRefused',
		message: 'read: expected success, got 404 NoSuchKey (The key does not exist.)'
	})
})

test('what comes slowly is read to its end, and what trickles is given up', async () => {
	server.removeAllListeners('request')
	const drops = 17
	const asked: string[] = []
	server.on('request', async ({ url }, response) => {
		asked.push(url!)
		const drop = url === '/slow' ? 65_536 : 1
		response.writeHead(200, etag)
		for (let i = 0; i < drops && !response.destroyed; i++) {
			response.write(Buffer.alloc(drop))
			await delay(2_000)
		}
		response.end()
	})
	const read = (name: string) => open().read(`${origin}/${name}`, drops * 65_536)
	const trickled = expect(read('trickling')).rejects.toThrow('got less than 65536 bytes came in 30 s')
	expect(await read('slow')).toHaveLength(drops * 65_536)
	await trickled
	expect(asked).toEqual(['/trickling', '/slow'])
})

test('bytes go to http and https only', async () => {
	answers = []
	await expect(open().put({ url: 'file:///etc/passwd', headers: {} }, new Uint8Array(3))).rejects.toThrow(
		'expected an http(s) URL to put to, got file://'
	)
})

test('the signal ends waiting between attempts', async () => {
	answers = [{ status: 503 }]
	const stop = new AbortController()
	const call = open(stop.signal).progress({ done: 0, total: 1 })
	await expect.poll(() => heard.length).toBeGreaterThan(0)
	stop.abort(new Error('stopped'))
	await expect(call).rejects.toThrow('stopped')
})

async function text(request: IncomingMessage): Promise<string> {
	const chunks: Buffer[] = []
	for await (const chunk of request) {
		chunks.push(chunk)
	}
	return Buffer.concat(chunks).toString()
}
