import type { Problem } from './contract/problem.ts'
import { inShort } from './duration.ts'

/** Milliseconds: the edge begins each answer in less, and is whole with it in as much again. */
const patience = 30_000
/** Bytes in a millisecond: as slowly may a body come that the edge takes (edge/in-time.ts). */
const pace = 64

/** An answer that was no success, in the API's own words. */
export class DarkroomError extends Error {
	override name = 'DarkroomError' as const
	readonly status: number
	readonly problem: Partial<Problem>
	/** Seconds after which it may succeed, where the server said so. */
	readonly retryAfter: number | undefined

	constructor(status: number, problem: Partial<Problem>, retryAfter?: number) {
		const again = retryAfter === undefined ? '' : ` Try again in ${inShort(retryAfter)}.`
		super(`${problem.detail ?? `The server answered ${status}.`}${again}`)
		this.status = status
		this.problem = problem
		this.retryAfter = retryAfter
	}

	/** What was refused may be granted later, as it is. */
	get mayPass(): boolean {
		return this.status >= 500 || this.status === 429
	}

	/** Of an answer that was no success. */
	static async of(answer: Response): Promise<DarkroomError> {
		const problem = (await answer.json().catch(() => undefined)) as Problem | undefined
		// A proxy between may name a date in its stead.
		const [seconds] = /^\d+$/.exec(answer.headers.get('retry-after') ?? '') ?? []
		return new DarkroomError(answer.status, problem ?? {}, seconds === undefined ? undefined : Number(seconds))
	}
}

/** No answer came: the connection may be open, and nobody at its other end. What was asked for may have been done. */
export class Unanswered extends Error {
	override name = 'Unanswered' as const

	constructor() {
		super(`The server did not answer within ${patience / 1_000} seconds.`)
	}
}

export interface ClientOptions {
	/** Where Darkroom answers; where the page came from when empty. */
	url: string
	apiKey: string
}

export interface Call {
	method?: string
	/** Sent as JSON. */
	body?: unknown
	headers?: Record<string, string>
	signal?: AbortSignal | undefined
}

/**
 * What the API answers, as `read` has it: its JSON, or nothing where it is answered with nothing.
 *
 * @throws DarkroomError, Unanswered, and what `fetch` throws
 */
export async function call<T>(
	{ url, apiKey }: ClientOptions,
	path: string,
	{ method = 'GET', body, headers = {}, signal }: Call = {},
	read: (answer: Response) => Promise<T> = said
): Promise<T> {
	const text = body === undefined ? undefined : JSON.stringify(body)
	const stop = new AbortController()
	const within = (milliseconds: number) => setTimeout(() => stop.abort(new Unanswered()), milliseconds)
	let timer = within(patience + (text?.length ?? 0) / pace)
	try {
		const answer = await fetch(`${url}${path}`, {
			method,
			headers: {
				...headers,
				authorization: `Bearer ${apiKey}`,
				...(text !== undefined && { 'content-type': 'application/json' })
			},
			// Node.js before 20.3 cannot join them.
			signal: signal ? (AbortSignal.any?.([signal, stop.signal]) ?? signal) : stop.signal,
			...(text !== undefined && { body: text })
		})
		clearTimeout(timer)
		timer = within(patience)
		if (!answer.ok) {
			throw await DarkroomError.of(answer)
		}
		return await read(answer)
	} finally {
		clearTimeout(timer)
	}
}

/** What an answer says. A page of whatever stands between, that of a sign-in for one, may come as a success. */
async function said<T>(answer: Response): Promise<T> {
	if (answer.status === 204) {
		return undefined as T
	}
	const text = await answer.text()
	try {
		return JSON.parse(text)
	} catch {
		const type = answer.headers.get('content-type') ?? 'nothing that says what it is'
		throw new DarkroomError(answer.status, { detail: `Expected JSON from ${answer.url}, got ${type}.` })
	}
}
