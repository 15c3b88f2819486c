/**
 * The world outside of the edge, for its unit tests: receivers of webhooks. `PUT /<name>/plan` says how one behaves from now on, `GET /<name>/letters`
 * tells what has come to it, and everything else is a letter.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
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
		const { status, headers, body: text = '', hang } = receiver.plan
		const letter = { path: request.url ?? '', headers: request.headers as Record<string, string>, body, status }
		receiver.letters.push(letter)
		if (!hang) {
			response.writeHead(status, headers).end(text)
		}
	}
}

export default async function setup(project: TestProject): Promise<() => void> {
	// A second address of this machine is a second origin.
	const server = createServer((request, response) => void answer(request, response))
	await new Promise<void>((resolve) => server.listen(0, resolve))
	const { port } = server.address() as AddressInfo
	project.provide('receivers', { url: `http://127.0.0.1:${port}`, other: `http://localhost:${port}` })
	return () => {
		server.closeAllConnections()
		server.close()
	}
}
