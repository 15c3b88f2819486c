import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import sharp from 'sharp'
import type { ClientStack } from './stack.ts'

/** A client as it is on npm or PyPI, and what is done with it. Calls of one name do the same with different clients. */
export interface Client {
	name: string
	calls: Partial<Record<CallName, (stack: ClientStack) => Promise<void>>>
}

export const callNames = [
	'a picture by URL',
	'a picture as bytes',
	'several pictures, seeded',
	'as it develops (stream)',
	'as it develops (stream, in one call)',
	'waiting times out, then polling',
	'polling from the start',
	'an image to start from, as a file',
	'files: list, look at, remove',
	'a webhook, verified by the client',
	'a webhook',
	'cancel while it runs',
	'what nobody starts in time',
	'list',
	'models',
	'as from Azure',
	'account',
	'what is wrong with a request',
	'too many requests',
	'a wrong key'
] as const
export type CallName = (typeof callNames)[number]

/** A model of the catalog that no node of the stack serves. */
export const unserved = 'scenes-unconditional'

/** As little work as there can be, for what would be the same of any picture. */
export const short = { steps: 2 }

/** More than a second's work for a CPU. */
export const long = { steps: 100, count: 2 }

/** Orders as many pictures as `long` with the native API, of which none is ever drawn; what ends that. */
export async function occupy(stack: ClientStack, apiKey: string): Promise<() => Promise<void>> {
	const post = (path: string, body = {}) => {
		const headers = { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' }
		return fetch(`${stack.url}/v1/generations${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
	}
	const { id } = (await (await post('', { model: unserved, count: long.count })).json()) as { id: string }
	return async () => void (await post(`/${id}/cancel`))
}

/** A `fetch` that notes every answer, and tells of it before the client hears. */
export function listening(heard: (answer: Response) => void | Promise<void> = () => {}) {
	const answers: Pick<Response, 'status' | 'headers'>[] = []
	const listen: typeof fetch = async (...asked) => {
		const answer = await fetch(...asked)
		answers.push({ status: answer.status, headers: answer.headers })
		await heard(answer)
		return answer
	}
	return { fetch: listen, answers }
}

const png = Buffer.from('89504e470d0a1a0a', 'hex')

/** Throws if `bytes` are no PNG. */
export function expectPng(bytes: ArrayBuffer | Uint8Array): void {
	const head = Buffer.from(bytes as Uint8Array).subarray(0, png.length)
	if (!head.equals(png)) {
		throw new Error(`expected a PNG, got ${head.toString('hex')}`)
	}
}

/** A small picture as a PNG; `holed`: half of it is transparent. */
export async function drawing({ holed = false } = {}): Promise<Buffer<ArrayBuffer>> {
	const side = 128
	const half = { width: side, height: side / 2, channels: 4, background: { r: 0, g: 0, b: 255, alpha: 1 } } as const
	const background = { r: 128, g: 128, b: 128, alpha: holed ? 0 : 1 }
	const input = await sharp({ create: half }).png().toBuffer()
	return (await sharp({ create: { width: side, height: side, channels: 4, background } })
		.composite([{ input, top: 0, left: 0 }])
		.png()
		.toBuffer()) as Buffer<ArrayBuffer>
}

/** A receiver of one letter, on this machine. */
export async function mailbox(): Promise<{ url: string; letter: Promise<{ headers: Headers; body: string }> }> {
	const { promise: letter, resolve } = Promise.withResolvers<{ headers: Headers; body: string }>()
	const server = createServer(async (request, response) => {
		const body = await text(request)
		response.end()
		server.close()
		resolve({ headers: new Headers(request.headers as Record<string, string>), body })
	}).listen(0, '127.0.0.1')
	await once(server, 'listening')
	return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, letter }
}
