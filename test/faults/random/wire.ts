import { createServer, type IncomingMessage, type ServerResponse, request as send } from 'node:http'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '../../../infra/ports.ts'
import { happens, oneOf } from './chance.ts'

/** Which calls of a node: those to the edge, or those to storage. */
type Line = 'callbacks' | 'storage'

/** How a call can fail, on its way there or back. */
export const whims = ['refused', 'deaf', 'cut', 'short', 'late', 'twice', 'error', 'lie'] as const
type Whim = (typeof whims)[number]

export interface Trouble {
	line: Line
	/** Whose; everyone's by default. */
	node?: string
	/** Of the calls, from 0 to 1. */
	share: number
	whims: readonly Whim[]
}

/** The way from the nodes to the edge, and to storage behind it: a proxy for HTTP_PROXY, which loses, delays and repeats what it is asked to. */
export interface Wire {
	/** For the node of a name. */
	urlOf(node: string): string
	troubles: Set<Trouble>
	/** How many calls failed. */
	failed: number
	close(): void
}

interface Answer {
	status: number
	headers: string[]
	body: Buffer
}

export async function openWire(edge: number): Promise<Wire> {
	const troubles = new Set<Trouble>()
	const callers = new WeakMap<Duplex, string>()
	const server = createServer((request, response) => {
		void pass(request, response).catch(() => response.destroy())
	})
	// Node asks for a tunnel: we are its other end.
	server.on('connect', ({ headers }, socket) => {
		const [name] = Buffer.from(headers['proxy-authorization']?.split(' ')[1] ?? '', 'base64')
			.toString()
			.split(':')
		callers.set(socket, name!)
		socket.on('error', () => {})
		socket.write('HTTP/1.1 200 OK\r\n\r\n')
		server.emit('connection', socket)
	})

	async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const body = await buffer(request)
		const line: Line = request.url!.startsWith('/cdn-cgi/') ? 'storage' : 'callbacks'
		const isIts = ({ node }: Trouble) => node === undefined || node === callers.get(request.socket)
		const trouble = [...troubles].find((one) => one.line === line && isIts(one) && happens(Math.random, one.share))
		const whim = trouble && oneOf(Math.random, trouble.whims)
		const give = ({ status, headers, body }: Answer) => response.writeHead(status, headers).end(body)
		wire.failed += whim ? 1 : 0
		switch (whim) {
			case 'refused':
				response.destroy()
				return
			case 'error': {
				// Of something between, which never asks the edge.
				const status = oneOf(Math.random, [200, 302, 413, 429, 503])
				response.writeHead(status).end(oneOf(Math.random, ['', '<html>out of order</html>']))
				return
			}
			case 'deaf':
				await forward(edge, request, body)
				response.destroy()
				return
			case 'lie':
				await forward(edge, request, body)
				response.writeHead(500).end('out of order')
				return
			case 'cut': {
				const { status, headers, body: whole } = await forward(edge, request, body)
				response.writeHead(status, [...headers, 'content-length', String(whole.length + 1)])
				response.write(whole.subarray(0, whole.length >> 1))
				await sleep(50)
				response.destroy()
				return
			}
			case 'short': {
				// As if that were all of it.
				const { body: whole, ...answer } = await forward(edge, request, body)
				give({ ...answer, body: whole.subarray(0, whole.length >> 1) })
				return
			}
			case 'late':
				// Longer than a node waits, at times: then it comes after its own repetition.
				await sleep(8_000 * Math.random())
				give(await forward(edge, request, body))
				return
			case 'twice':
				give((await Promise.all([forward(edge, request, body), forward(edge, request, body)]))[1])
				return
			default:
				give(await forward(edge, request, body))
		}
	}

	const port = await freePort()
	await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
	const wire: Wire = {
		urlOf: (node) => `http://${node}:${node}@127.0.0.1:${port}`,
		troubles,
		failed: 0,
		close: () => server.close()
	}
	return wire
}

const ofTheLine = /^(connection|content-length|transfer-encoding|keep-alive)$/i

function forward(port: number, { method, url, rawHeaders }: IncomingMessage, body: Buffer): Promise<Answer> {
	return new Promise((resolve, reject) => {
		const onward = send(
			{ port, host: '127.0.0.1', method: method!, path: url!, headers: rawHeaders, agent: false },
			async (answer) => {
				try {
					const headers = answer.rawHeaders.filter((_, i, all) => !ofTheLine.test(all[i - (i % 2)]!))
					resolve({ status: answer.statusCode!, headers, body: await buffer(answer) })
				} catch (error) {
					reject(error)
				}
			}
		)
		onward.once('error', reject)
		onward.end(body)
	})
}
