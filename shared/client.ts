import { type Call, type ClientOptions, call, DarkroomError, Unanswered } from './call.ts'
import type { Model } from './catalog.ts'
import type { AccountView, Usage } from './contract/account.ts'
import type { Archive, ArchivedGeneration } from './contract/archive.ts'
import type { GenerationEvent } from './contract/events.ts'
import type { Generation } from './contract/generation.ts'
import type { GenerationOrder } from './contract/order.ts'
import type { Problem } from './contract/problem.ts'
import { followed } from './followed.ts'
import { newId } from './ids.ts'

export type { AccountView, Archive, ArchivedGeneration, Generation, GenerationEvent, GenerationOrder, Model, Problem, Usage }
export { type ClientOptions, DarkroomError, Unanswered }

/** Times that an order is sent, half as many where each is waited for in vain, and milliseconds between them. */
const sendings = 4
const pause = 1_000
/** Times in a row that events may break off without having told anything: a second apart. */
const patience = 60

/** A client of the API for Node.js 20 and browsers, with the types of its contract. Its calls throw DarkroomError, and Unanswered. */
export class Darkroom {
	readonly #options: ClientOptions

	constructor(options: ClientOptions) {
		this.#options = options
	}

	async models(): Promise<Model[]> {
		return (await this.#call<{ models: Model[] }>('/v1/models')).models
	}

	account(): Promise<AccountView> {
		return this.#call('/v1/account')
	}

	async usage(): Promise<Usage[]> {
		return (await this.#call<{ usage: Usage[] }>('/v1/usage')).usage
	}

	/**
	 * Asks for pictures; it answers at once. Sent again where no answer of the API's comes, and ordered once all the same.
	 *
	 * @param idempotencyKey an order that is asked for again under the same one is the same order, for a day
	 */
	async create(order: GenerationOrder, idempotencyKey = newId('order')): Promise<Generation> {
		const headers = { 'idempotency-key': idempotencyKey }
		for (let left = sendings; ; ) {
			try {
				return await this.#call('/v1/generations', { method: 'POST', body: order, headers })
			} catch (error) {
				// A page of something between, or half an answer, says nothing of the order, which may be accepted.
				const isRefused = error instanceof DarkroomError && error.problem.type !== undefined && error.status < 500
				left -= error instanceof Unanswered ? 2 : 1
				if (isRefused || left <= 0) {
					throw error
				}
				await waitUnless(undefined)(pause)
			}
		}
	}

	/** What an order would cost, in micro-units. */
	quote(order: GenerationOrder): Promise<{ cost: { picture: number; total: number }; available: number }> {
		return this.#call('/v1/generations?dry_run=true', { method: 'POST', body: order })
	}

	generation(id: string): Promise<Generation> {
		return this.#call(pathOf(id))
	}

	/** Newest first; `next` is the cursor of the following page. */
	generations(cursor?: string): Promise<{ generations: Generation[]; next: string | null }> {
		return this.#call(`/v1/generations?limit=24${cursor ? `&cursor=${cursor}` : ''}`)
	}

	/** The books of old generations, which are in no list any more: files with a line of JSON for each (`ArchivedGeneration`), compressed by gzip. Newest first. */
	archives(cursor?: string): Promise<{ archives: Archive[]; next: string | null }> {
		return this.#call(`/v1/archives${cursor ? `?cursor=${cursor}` : ''}`)
	}

	cancel(id: string): Promise<Generation> {
		return this.#call(`${pathOf(id)}/cancel`, { method: 'POST' })
	}

	remove(id: string): Promise<void> {
		return this.#call(pathOf(id), { method: 'DELETE' })
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
			const read = async ({ body }: Response) => body
			const events = await this.#call(`${pathOf(id)}/events`, { headers, signal }, read).catch((error) => {
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
			return events
		}
		const mayPass = (error: unknown) => !signal?.aborted && (!(error instanceof DarkroomError) || error.mayPass)
		return followed(open, { mayPass, wait: waitUnless(signal), patience })
	}

	#call<T>(path: string, how?: Call, read?: (answer: Response) => Promise<T>): Promise<T> {
		return call(this.#options, path, how, read)
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
