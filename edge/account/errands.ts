import { jobFor } from '../callbacks/capability.ts'
import { type Batch, dispatcherOf } from '../dispatcher/dispatcher.ts'
import type { Env } from '../env.ts'
import { inputKey } from '../inputs/store.ts'
import { eraseOthers, storeArchive } from '../storage/archive.ts'
import { eraseObjects, erasePage } from '../storage/erase.ts'
import type { Books } from './books.ts'
import type { Kind } from './due.ts'

/**
 * A queued generation is shown to the queue again and again: adding a waiting or running job's id does nothing there, and it
 * repairs a queue that lost its data. Milliseconds.
 */
const shownEvery = 5_000
const longestBackoff = 5_000
const day = 86_400_000
/** Milliseconds between two archives of an account that has many to make: others' work comes between. */
const breath = 1_000
/** Milliseconds that what has failed in R2 waits at most. */
const longestPause = 600_000

interface Parts {
	env: Env
	books: Books
	/** The account's name. */
	account(): string
	/** One transaction. What it makes due is for the alarm: done at once, one might come of the other without end. */
	transact(work: () => void): void
}

/** What the Account does elsewhere, at the queue and in R2, when it is due. Each reads anew what may have changed on the way. */
export class Errands {
	readonly #parts: Parts
	/** Milliseconds: what is shown again, is so at one moment for the whole account, and each account has its own. */
	readonly #phase = Math.floor(Math.random() * shownEvery)

	constructor(parts: Parts) {
		this.#parts = parts
	}

	/** Milliseconds until what was shown to the queue is shown again. */
	showsAgain = (now: number): number => 2 * shownEvery - ((now + this.#phase) % shownEvery)

	/** Brings queued generations before the GPU nodes. */
	async enqueue(ids: string[]): Promise<void> {
		const { env, books, transact } = this.#parts
		const { due, generations, lineup } = books
		const account = this.#parts.account()
		const now = Date.now()
		const batch: Batch = new Map()
		const raised = lineup.raise(now)
		for (const id of new Set([...ids, ...raised])) {
			const waiting = generations.waiting(id)
			if (waiting && waiting.until <= now) {
				transact(() => due.put('deadline', id, now))
			} else if (waiting) {
				const job = jobFor(env, { account, generation: id, epoch: waiting.epoch })
				const queued = { job, place: waiting.place, isRaised: raised.has(id) }
				batch.set(waiting.model, [...(batch.get(waiting.model) ?? []), queued])
			}
		}
		const fault = await dispatcherOf(env, account).enqueue(batch).catch(String)
		if (fault !== undefined) {
			transact(() => {
				for (const id of ids) {
					due.failed('enqueue', id, Date.now(), longestBackoff)
				}
			})
		}
	}

	/** Removes the objects of generations that have ended, but those that are retained. */
	async erase(ids: string[]): Promise<void> {
		await Promise.all(ids.map((id) => this.#attempt('erase', id, () => this.#erase(id))))
	}

	async #erase(id: string): Promise<void> {
		const { env, books, transact } = this.#parts
		const { due, generations } = books
		const now = Date.now()
		const { keys } = generations.retained(id, now)
		await eraseObjects(env, `${id}/`, (page) => page.map(({ key }) => key).filter((key) => !keys.has(key)))
		transact(() => {
			if (keys.size === 0) {
				generations.erased(id, now)
			}
			// Read again: it may have been deleted meanwhile, or its plan changed; then what was kept just now may go.
			const again = generations.retained(id, now).again ?? (keys.size > 0 ? now : undefined)
			if (again === undefined) {
				due.remove('erase', id)
				due.putOnce('archive', 'books', now + day)
			} else {
				due.put('erase', id, again)
			}
		})
	}

	/**
	 * Moves the oldest books to R2: written there first and seen, and only then, if the rows are still the same, remembered in their place.
	 * Whatever fails before leaves the rows as they are.
	 */
	archive(): Promise<void> {
		return this.#attempt('archive', 'books', async () => {
			const { env, books, account, transact } = this.#parts
			const { due, archives } = books
			const now = Date.now()
			const chunk = archives.ready(now)
			const stored = chunk && (await storeArchive(env, account(), chunk))
			transact(() => {
				if (stored) {
					archives.keep(chunk, stored, now)
				}
				const again = stored ? Date.now() + breath : archives.again(now)
				if (again === undefined) {
					due.remove('archive', 'books')
				} else {
					due.put('archive', 'books', again)
				}
			})
			const kept = chunk && archives.find(chunk.first)
			if (kept) {
				await eraseOthers(env, account(), kept)
			}
		})
	}

	/** Removes uploads that no generation uses, a page at a time: of a million, one call would come to no end. */
	sweep(page: string): Promise<void> {
		return this.#attempt('sweep', page, async () => {
			const { env, books, account, transact } = this.#parts
			const { inputs } = books
			const now = Date.now()
			const prefix = inputKey(account(), '')
			const before = inputs.before(page)
			const { left, next } = await erasePage(env, prefix, before && prefix + before, (objects) => {
				const uploads = objects.map(({ key, at }) => ({ id: key.slice(prefix.length), at }))
				return inputs.takeUnused(uploads, now).map((id) => prefix + id)
			})
			transact(() => inputs.swept(page, left, next?.slice(prefix.length), now))
		})
	}

	/** What fails is put off, longer each time, and fails nothing else. */
	async #attempt(kind: Kind, subject: string, work: () => Promise<void>): Promise<void> {
		try {
			await work()
		} catch (error) {
			console.error(JSON.stringify({ due: kind, subject, error: error instanceof Error ? error.stack : String(error) }))
			const { books, transact } = this.#parts
			transact(() => books.due.failed(kind, subject, Date.now(), longestPause))
		}
	}
}
