/**
 * The world outside of the edge, for its unit tests: receivers of webhooks. `PUT /<name>/plan` says how one behaves from now on, `GET /<name>/letters`
 * tells what has come to it, and everything else is a letter.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
	interface ProvidedContext {
		/** Two origins of one server. */
		receivers: { url: string; other: string }
	}
}

export interface Plan {
	status: number
	headers?: Record<string, string>
	body?: string
	/** Never answers. */
	hang?: boolean
	/** Milliseconds after which it answers. */
	after?: number
	/** Behaves as Stripe's meter events do on a bad day: see `count`. */
	meters?: boolean
	/** Refuses a body with this text in it. */
	refuses?: string
}

export interface Received {
	path: string
	headers: Record<string, string>
	body: string
	/** How it was answered. */
	status: number
}

interface Receiver {
	plan: Plan
	letters: Received[]
}

const receivers = new Map<string, Receiver>()

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
	const [, name = '', verb] = (request.url ?? '').split('/')
	const receiver = receivers.get(name) ?? { plan: { status: 200 }, letters: [] }
	receivers.set(name, receiver)
	const body = await text(request)
	if (request.method === 'PUT' && verb === 'plan') {
		receiver.plan = JSON.parse(body)
		response.end('{}')
	} else if (request.method === 'GET' && verb === 'letters') {
		response.end(JSON.stringify(receiver.letters))
	} else {
		const { status, headers, body: text = '', hang, after = 0, meters, refuses } = receiver.plan
		if (refuses !== undefined && body.includes(refuses)) {
			response.writeHead(400).end('{"error":{"message":"It is refused.","type":"test"}}')
		} else if (meters) {
			count(receiver, body, response)
		} else {
			const letter = { path: request.url ?? '', headers: request.headers as Record<string, string>, body, status }
			receiver.letters.push(letter)
			if (!hang) {
				setTimeout(() => response.writeHead(status, headers).end(text), after)
			}
		}
	}
}

/**
 * Refuses an identifier that it knows, as Stripe does, and fails three calls of ten: before it has counted, after it has counted but before it has
 * answered, and by asking for patience. Letters are what it has counted.
 */
function count({ letters }: Receiver, body: string, response: ServerResponse): void {
	const id = new URLSearchParams(body).get('identifier')
	const isKnown = letters.some(({ status, body }) => status === 200 && new URLSearchParams(body).get('identifier') === id)
	const luck = luckOf++ % 10
	const answer = (status: number, message: string) =>
		response.writeHead(status).end(JSON.stringify({ error: { message, type: 'test' } }))
	if (luck === 0) {
		answer(500, 'Out of order.')
	} else if (luck === 3) {
		answer(429, 'Too many requests.')
	} else if (isKnown) {
		answer(400, `An event already exists with identifier ${id}.`)
	} else {
		letters.push({ path: '', headers: {}, body, status: 200 })
		if (luck === 6) {
			response.destroy()
		} else {
			response.end('{}')
		}
	}
}
let luckOf = 0

export default async function setup(project: TestProject): Promise<() => void> {
	// A second address of this machine is a second origin.
	const server = createServer((request, response) => void answer(request, response))
	await new Promise<void>((resolve) => server.listen(Number(process.env.RECEIVERS_PORT), resolve))
	project.provide('receivers', {
		url: `http://127.0.0.1:${process.env.RECEIVERS_PORT}`,
		other: `http://localhost:${process.env.RECEIVERS_PORT}`
	})
	return () => {
		server.closeAllConnections()
		server.close()
	}
}
