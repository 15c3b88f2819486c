import { createHash } from 'node:crypto'
import { z } from 'zod'
import {
	type FinishCall,
	type ImageCall,
	ProgressAnswer,
	type ProgressCall,
	StartAnswer,
	UploadAnswer,
	type UploadCall
} from '../shared/contract/callbacks.ts'
import type { Job } from '../shared/queue.ts'
import { wait } from './wait.ts'

/** What a node may say to the edge about one generation and epoch; see shared/contract/callbacks.ts. */
export interface Edge {
	/** Throws `RequestUnknown` where it is granted work that it does not understand. */
	start(run: string): Promise<StartAnswer>
	/** Answers whether anyone would see previews. */
	progress(call: z.input<typeof ProgressCall>): Promise<boolean>
	/** Keeps the rows for whoever is granted the work next. */
	checkpoint(rows: Uint8Array<ArrayBuffer>): Promise<void>
	/** Gives the work back: it is queued again at once. */
	handBack(): Promise<void>
	/** The bytes behind a signed URL of ours. */
	read(url: string, mostBytes: number): Promise<Uint8Array>
	upload(call: z.input<typeof UploadCall>): Promise<UploadAnswer>
	/** Puts the bytes where `upload` said. Resolves too when they are there already. */
	put(place: UploadAnswer, bytes: Uint8Array<ArrayBuffer>): Promise<void>
	image(call: z.input<typeof ImageCall>): Promise<void>
	finish(call: FinishCall): Promise<void>
}

/** The work is not ours (any more): drop it without a word. */
export class WorkEnded extends Error {
	override name = 'WorkEnded'
}

/** An answer that a repetition would not change. */
export class EdgeRefused extends Error {
	override name = 'EdgeRefused'
	/** Of HTTP. */
	readonly status: number
	/** The last part of the problem's type (`not-seen`, `unauthorized`), or the code of S3 (`NoSuchKey`). */
	readonly code: string

	constructor(call: string, status: number, code: string, detail: string) {
		super(`${call}: expected success, got ${status} ${code} (${detail})`)
		this.status = status
		this.code = code
	}
}

/** Storage does not take a URL's signature: it has expired, or the key that it was signed with is not good any more, or not yet. Another may do. */
export class SignatureRefused extends EdgeRefused {
	override name = 'SignatureRefused'
}

/** The work is ours, but its request is none that this version knows, or its catalog: the edge's may be newer. */
export class RequestUnknown extends Error {
	override name = 'RequestUnknown'
}

/** The edge, or storage, gave no answer for as long as a lease lasts, or none that helps. Where it was the edge, someone else will be granted the work. */
export class EdgeUnreachable extends Error {
	override name = 'EdgeUnreachable'
	/** Of whom was called. */
	readonly origin: string

	constructor(origin: string, message: string) {
		super(message)
		this.origin = origin
	}
}

/** Storage gave no answer at all, and the edge may: other nodes may reach both. */
export class StorageSilent extends EdgeUnreachable {
	override name = 'StorageSilent'
}

/** What is to be read of most answers: they may say more one day. */
const Nothing = z.object({}).optional()

/** Milliseconds that one attempt at a call may take. */
const CALL_TIMEOUT = 5_000
/** Milliseconds without so many bytes more that end an attempt at reading: files are large, and ways slow, but what trickles may not hold a place for days. */
const READ_SILENCE = 30_000
const READ_STEP = 65_536
/** Longer for more bytes, at 400 kbit/s: a slow way to storage is one all the same. */
const putTimeout = ({ length }: Uint8Array) => 30_000 + Math.ceil(length / 50)
/** Milliseconds that a call is attempted again for: as long as a lease lasts, until `start` has told how long that is. */
const PATIENCE = 15_000

/** @param signal ends every call and every wait between attempts */
export function openEdge({ callback, token }: Job, signal: AbortSignal): Edge {
	let patience = PATIENCE

	/** What is no answer of the contract's comes from something between, and is asked for again. */
	const post = <Answer>(name: string, body: unknown, answer: z.ZodType<Answer>) =>
		send(name, JSON.stringify(body), 'application/json', CALL_TIMEOUT, answer)
	const send = <Answer>(
		name: string,
		body: string | Uint8Array<ArrayBuffer>,
		type: string,
		timeout: number,
		answer: z.ZodType<Answer>
	): Promise<Answer> => {
		const take = async (response: Response) => {
			const text = await textOf(response)
			return answer.parse(text === '' ? undefined : JSON.parse(text))
		}
		return insist(name, callback, patience, signal, take, refusalOfEdge, () =>
			fetch(`${callback}/${name}`, {
				method: 'POST',
				headers: { authorization: `Bearer ${token}`, 'content-type': type },
				body,
				redirect: 'manual',
				signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)])
			})
		)
	}

	return {
		async start(run) {
			const answer = StartAnswer.safeParse(await post('start', { run }, z.looseObject({})))
			if (!answer.success) {
				const [{ path, message }] = answer.error.issues as [z.core.$ZodIssue]
				throw new RequestUnknown(`expected work that this version knows, got another ${path.join('.')} (${message})`)
			}
			patience = answer.data.lease
			return answer.data
		},
		async progress(call) {
			return (await post('progress', call, ProgressAnswer.optional()))?.watched ?? false
		},
		async checkpoint(rows) {
			await send('checkpoint', rows, 'application/octet-stream', putTimeout(rows), Nothing)
		},
		async handBack() {
			await post('yield', {}, Nothing)
		},
		async read(url, mostBytes) {
			let silence: NodeJS.Timeout | undefined
			const attempt = () => {
				const stalled = new AbortController()
				clearTimeout(silence)
				silence = setTimeout(
					() => stalled.abort(new Error(`less than ${READ_STEP} bytes came in ${READ_SILENCE / 1000} s`)),
					READ_SILENCE
				)
				return fetch(url, { redirect: 'manual', signal: AbortSignal.any([signal, stalled.signal]) })
			}
			const take = async ({ body, headers }: Response) => {
				const chunks: Uint8Array[] = []
				let left = mostBytes
				let expected = mostBytes - READ_STEP
				for await (const chunk of body ?? []) {
					left -= chunk.byteLength
					if (left <= expected) {
						expected = left - READ_STEP
						silence?.refresh()
					}
					if (left < 0) {
						// That cancels the rest.
						throw new EdgeRefused('read', 413, 'too-large', `expected at most ${mostBytes} bytes`)
					}
					chunks.push(chunk)
				}
				const bytes = Buffer.concat(chunks)
				// That of R2 for what was written as a whole, as all of ours is. Something between may cut it short, and frame it anew.
				const [, md5] = /^"([0-9a-f]{32})"$/.exec(headers.get('etag') ?? '') ?? []
				if (md5 !== undefined && md5 !== createHash('md5').update(bytes).digest('hex')) {
					throw new Error(`${bytes.length} bytes that are not those of the ETag`)
				}
				return bytes
			}
			try {
				return await insist('read', url, patience, signal, take, refusalOfStorage, attempt)
			} finally {
				clearTimeout(silence)
			}
		},
		upload: (call) => post('upload', call, UploadAnswer),
		async put({ url, headers }, bytes) {
			if (!/^https?:/.test(url)) {
				throw new EdgeRefused('upload', 200, 'bad-url', `expected an http(s) URL to put to, got ${new URL(url).protocol}//`)
			}
			await insist('put', url, patience, signal, textOf, refusalOfStorage, () =>
				fetch(url, {
					method: 'PUT',
					headers,
					body: bytes,
					redirect: 'manual',
					signal: AbortSignal.any([signal, AbortSignal.timeout(putTimeout(bytes))])
				})
			)
		},
		async image(call) {
			await post('image', call, Nothing)
		},
		async finish(call) {
			await post('finish', call, Nothing)
		}
	}
}

/** Statuses below 500 that ask for the same again. */
const again = new Set([408, 425, 429])

/** What an answer refuses, if it is one. */
type Refusal = (call: string, status: number, text: string) => EdgeRefused | WorkEnded | undefined

/**
 * Attempts a call until it is answered for good: again after network errors, 5xx and what is no refusal, with backoff and jitter. Every call may be
 * repeated after a lost answer (a repeated PUT is answered 412).
 */
async function insist<T>(
	name: string,
	url: string,
	patience: number,
	signal: AbortSignal,
	take: (answer: Response) => Promise<T>,
	refusalOf: Refusal,
	attempt: () => Promise<Response>
): Promise<T> {
	const until = performance.now() + patience
	const isOfStorage = refusalOf === refusalOfStorage
	let isSilent = isOfStorage
	for (let pause = 100; ; pause = Math.min(pause * 2, 2_000)) {
		let trouble: string
		try {
			const response = await attempt()
			isSilent = false
			const { status } = response
			// S3 names the ETag of what it takes, and of what it gives: a page of a proxy's has none.
			const isPage = isOfStorage && response.ok && !response.headers.has('etag')
			if (status === 412 || (response.ok && !isPage)) {
				return await take(response)
			}
			const text = await textOf(response)
			const refusal = status < 500 && !again.has(status) ? refusalOf(name, status, text) : undefined
			if (refusal) {
				throw refusal
			}
			trouble = `status ${status}${isPage ? ' without an ETag' : ''}`
		} catch (error) {
			signal.throwIfAborted()
			if (error instanceof EdgeRefused || error instanceof WorkEnded) {
				throw error
			}
			const { message, cause } = error as Error
			trouble = (cause instanceof Error ? `${message}: ${cause.message}` : message).replace(/\s+/g, ' ')
		}
		if (performance.now() + pause > until) {
			const Unreachable = isSilent ? StorageSilent : EdgeUnreachable
			throw new Unreachable(new URL(url).origin, `${name}: expected an answer within ${patience / 1000} s, got ${trouble}`)
		}
		await wait(pause * (0.5 + Math.random()), signal)
	}
}

/** Read to its end, so that the connection can be used again. */
const textOf = (answer: Response) => answer.text()

/** It may say more one day. */
const Problem = z.object({ type: z.string().startsWith('urn:darkroom:problem:'), detail: z.string() })

/** The edge refuses with a problem of its own; what is none (a page of a firewall's, of a tunnel's, a problem of Cloudflare's) is not from it. */
const refusalOfEdge: Refusal = (call, status, text) => {
	const { data: problem } = Problem.safeParse(parseJson(text))
	if (!problem) {
		return undefined
	}
	const code = problem.type.split(':').at(-1)!
	return status === 409 && (code === 'superseded' || code === 'ended')
		? new WorkEnded(problem.detail)
		: new EdgeRefused(call, status, code, problem.detail)
}

/**
 * Codes of S3 below 500 that ask for the same again: another PUT of the object is not over, which may be our own of which we have heard no more; or
 * the bytes came too slowly.
 */
const passing = new Set(['ConditionalRequestConflict', 'OperationAborted', 'RequestTimeout'])

/** S3's errors are XML with a code; what has none (a page of a proxy's) is not from it, and says nothing of the object. */
const refusalOfStorage: Refusal = (call, status, text) => {
	const inside = (tag: string) => text.match(`<${tag}>([^<]*)`)?.[1]
	const isSigned = status !== 401 && status !== 403
	const code = inside('Code') ?? (isSigned ? undefined : 'without a code')
	const Refused = isSigned ? EdgeRefused : SignatureRefused
	return code === undefined || passing.has(code)
		? undefined
		: new Refused(call, status, code, inside('Message') ?? text.slice(0, 200))
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text)
	} catch {
		return undefined
	}
}
