import type { Model } from './catalog.ts'
import type { AccountView, Usage } from './contract/account.ts'
import type { Archive, ArchivedGeneration } from './contract/archive.ts'
import type { GenerationEvent } from './contract/events.ts'
import type { Generation } from './contract/generation.ts'
import type { GenerationOrder } from './contract/order.ts'
import type { Problem } from './contract/problem.ts'
import { inShort } from './duration.ts'
import { followed } from './followed.ts'
import { newId } from './ids.ts'

export type { AccountView, Archive, ArchivedGeneration, Generation, GenerationEvent, GenerationOrder, Model, Problem, Usage }

/** Times that an order is sent, and milliseconds between them. */
const sendings = 4
const pause = 1_000
/** Times in a row that events may break off without having told anything: a second apart. */
const patience = 60

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

export interface ClientOptions {
	/** Where Darkroom answers; where the page came from when empty. */
	url: string
	apiKey: string
}

/** A client of the API for Node.js 20 and browsers, with the types of its contract. Its calls throw DarkroomError. */
export class Darkroom {
	readonly #options: ClientOptions

	constructor(options: ClientOptions) {
		this.#options = options
	}

	async models(): Promise<Model[]> {
		return (await this.#json<{ models: Model[] }>('/v1/models')).models
	}

	account(): Promise<AccountView> {
		return this.#json('/v1/account')
	}

	async usage(): Promise<Usage[]> {
		return (await this.#json<{ usage: Usage[] }>('/v1/usage')).usage
	}

	/**
	 * Asks for pictures; it answers at once. Sent again where no answer of the API's comes, and ordered once all the same.
	 *
	 * @param idempotencyKey an order that is asked for again under the same one is the same order, for a day
	 */
	async create(order: GenerationOrder, idempotencyKey = newId('order')): Promise<Generation> {
		const headers = { 'idempotency-key': idempotencyKey }
		for (let sent = 1; ; sent++) {
			try {
				return await said(await this.#call('/v1/generations', 'POST', order, headers))
			} catch (error) {
				// A page of something between, or half an answer, says nothing of the order, which may be accepted.
				const isRefused = error instanceof DarkroomError && error.problem.type !== undefined && error.status < 500
				if (isRefused || sent === sendings) {
					throw error
				}
				await waitUnless(undefined)(pause)
			}
		}
	}

	/** What an order would cost, in micro-units. */
	quote(order: GenerationOrder): Promise<{ cost: { picture: number; total: number }; available: number }> {
		return this.#json('/v1/generations?dry_run=true', 'POST', order)
	}

	generation(id: string): Promise<Generation> {
		return this.#json(pathOf(id))
	}

	/** Newest first; `next` is the cursor of the following page. */
	generations(cursor?: string): Promise<{ generations: Generation[]; next: string | null }> {
		return this.#json(`/v1/generations?limit=24${cursor ? `&cursor=${cursor}` : ''}`)
	}

	/** The books of old generations, which are in no list any more: files with a line of JSON for each (`ArchivedGeneration`), compressed by gzip. Newest first. */
	archives(cursor?: string): Promise<{ archives: Archive[]; next: string | null }> {
		return this.#json(`/v1/archives${cursor ? `?cursor=${cursor}` : ''}`)
	}

	cancel(id: string): Promise<Generation> {
		return this.#json(`${pathOf(id)}/cancel`, 'POST')
	}

	async remove(id: string): Promise<void> {
		await this.#call(pathOf(id), 'DELETE')
	}

	/**
	 * What happens to a generation, to its end; connects again by itself, for a minute or more. It goes on where nobody hears of it.
	 *
	 * @param onTrouble told why there is no connection, at each try; and with nothing, once there is one again
	 */
	events(id: string, signal?: AbortSignal, onTrouble?: (error: unknown) => void): AsyncGenerator<GenerationEvent> {
		let isAway = false
		const open = async (lastId: string | undefined) => {
			const headers: Record<string, string> = lastId === undefined ? {} : { 'last-event-id': lastId }
			const { body } = await this.#call(`${pathOf(id)}/events`, 'GET', undefined, headers, signal).catch((error) => {
				isAway = true
				if (mayPass(error)) {
					onTrouble?.(error)
				}
				throw error
			})
			if (isAway) {
				isAway = false
				onTrouble?.(undefined)
			}
			return body
		}
		const mayPass = (error: unknown) => !signal?.aborted && (!(error instanceof DarkroomError) || error.mayPass)
		return followed(open, { mayPass, wait: waitUnless(signal), patience })
	}

	async #json<T>(path: string, method?: string, body?: unknown): Promise<T> {
		return said<T>(await this.#call(path, method, body))
	}

	async #call(path: string, method = 'GET', body?: unknown, more: Record<string, string> = {}, signal?: AbortSignal) {
		const { url, apiKey } = this.#options
		const headers: Record<string, string> = { ...more, authorization: `Bearer ${apiKey}` }
		if (body !== undefined) {
			headers['content-type'] = 'application/json'
		}
		const answer = await fetch(`${url}${path}`, {
			method,
			headers,
			...(body !== undefined && { body: JSON.stringify(body) }),
			...(signal && { signal })
		})
		if (!answer.ok) {
			throw await DarkroomError.of(answer)
		}
		return answer
	}
}

/** What an answer says. A page of whatever stands between, that of a sign-in for one, may come as a success. */
async function said<T>(answer: Response): Promise<T> {
	const text = await answer.text()
	try {
		return JSON.parse(text)
	} catch {
		const type = answer.headers.get('content-type') ?? 'nothing that says what it is'
		throw new DarkroomError(answer.status, { detail: `Expected JSON from ${answer.url}, got ${type}.` })
	}
}

const pathOf = (id: string) => `/v1/generations/${encodeURIComponent(id)}`

/** Waits, until aborted at the most; whoever goes on then is refused by what it does next. */
const waitUnless = (signal: AbortSignal | undefined) => (milliseconds: number) =>
	new Promise<void>((resolve) => {
		const stop = () => {
			clearTimeout(timer)
			signal?.removeEventListener('abort', stop)
			resolve()
		}
		const timer = setTimeout(stop, milliseconds)
		signal?.addEventListener('abort', stop)
	})
