import { z } from 'zod'
import { EdgeRefused, EdgeUnreachable, SignatureRefused, StorageSilent, WorkEnded } from './edge-errors.ts'
import { wait } from './wait.ts'

/** Statuses below 500 that ask for the same again. */
const again = new Set([408, 425, 429])

/** Who is called. */
interface Callee {
	readonly isStorage: boolean
	/** What an answer refuses, if it is one. */
	refusal(call: string, status: number, text: string): EdgeRefused | WorkEnded | undefined
}

interface Call<T> {
	/** For messages. */
	readonly name: string
	readonly url: string
	readonly callee: Callee
	/** Milliseconds that it is attempted again for. */
	readonly patience: number
	/** Ends every attempt, and every wait between two. */
	readonly signal: AbortSignal
	attempt(): Promise<Response>
	/** Reads an answer that is no refusal. */
	take(answer: Response): Promise<T>
}

/**
 * Attempts a call until it is answered for good: again after network errors, 5xx and what is no refusal, with backoff and jitter. Every call may be
 * repeated after a lost answer (a repeated PUT is answered 412). Throws what refuses it, the signal's reason, or `EdgeUnreachable`.
 */
export async function insist<T>({ name, url, callee, patience, signal, attempt, take }: Call<T>): Promise<T> {
	const until = performance.now() + patience
	let isSilent = callee.isStorage
	for (let pause = 100; ; pause = Math.min(pause * 2, 2_000)) {
		let trouble: string
		try {
			const response = await attempt()
			isSilent = false
			const { status } = response
			// S3 names the ETag of what it takes, and of what it gives: a page of a proxy's has none.
			const isPage = callee.isStorage && response.ok && !response.headers.has('etag')
			if (status === 412 || (response.ok && !isPage)) {
				return await take(response)
			}
			const text = await textOf(response)
			const refusal = status < 500 && !again.has(status) ? callee.refusal(name, status, text) : undefined
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
export const textOf = (answer: Response) => answer.text()

/** It may say more one day. */
const Problem = z.object({ type: z.string().startsWith('urn:darkroom:problem:'), detail: z.string() })

/** The edge refuses with a problem of its own; what is none (a page of a firewall's, of a tunnel's, a problem of Cloudflare's) is not from it. */
export const edge: Callee = {
	isStorage: false,
	refusal(call, status, text) {
		const { data: problem } = Problem.safeParse(parseJson(text))
		if (!problem) {
			return undefined
		}
		const code = problem.type.split(':').at(-1)!
		return status === 409 && (code === 'superseded' || code === 'ended')
			? new WorkEnded(problem.detail)
			: new EdgeRefused(call, status, code, problem.detail)
	}
}

/**
 * Codes of S3 below 500 that ask for the same again: another PUT of the object is not over, which may be our own of which we have heard no more; or
 * the bytes came too slowly.
 */
const passing = new Set(['ConditionalRequestConflict', 'OperationAborted', 'RequestTimeout'])

/** S3's errors are XML with a code; what has none (a page of a proxy's) is not from it, and says nothing of the object. */
export const storage: Callee = {
	isStorage: true,
	refusal(call, status, text) {
		const inside = (tag: string) => text.match(`<${tag}>([^<]*)`)?.[1]
		const isSigned = status !== 401 && status !== 403
		const code = inside('Code') ?? (isSigned ? undefined : 'without a code')
		const Refused = isSigned ? EdgeRefused : SignatureRefused
		return code === undefined || passing.has(code)
			? undefined
			: new Refused(call, status, code, inside('Message') ?? text.slice(0, 200))
	}
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text)
	} catch {
		return undefined
	}
}
