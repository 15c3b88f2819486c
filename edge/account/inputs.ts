import type { ResolvedRequest } from '../../shared/contract/generation.ts'
import { InputName } from '../../shared/inputs.ts'
import { ProblemError } from '../errors.ts'
import { describe } from '../issues.ts'
import { refuse } from '../refuse.ts'
import type { Due } from './due.ts'

/** Milliseconds: how long an upload is kept that no generation uses. */
export const unusedFor = 86_400_000

/** Milliseconds between two pages of a sweep: others' work comes between. */
const breath = 1_000
/** Milliseconds that an order may take after it has looked at its input. */
const underWay = 60_000

/** The page that a sweep begins with; the others are called by the upload that they come after. */
const firstPage = 'inputs'
/** The same, a day after one that left nothing: what was asked for before that may have come after it. */
const onceMore = 'inputs once more'

/** Which generations use which uploads; what none uses is removed. */
export class Inputs {
	readonly #sql: SqlStorage
	readonly #due: Due
	/** What was removed, and when: who looked at it before may order only now. */
	readonly #gone = new Map<string, number>()

	constructor(sql: SqlStorage, due: Due) {
		this.#sql = sql
		this.#due = due
	}

	/** Something is about to be uploaded. */
	expect(now: number): void {
		this.#due.putOnce('sweep', firstPage, now + unusedFor)
	}

	use(generation: string, request: ResolvedRequest): void {
		for (const name of InputName.options) {
			const upload = request[name]
			if (upload) {
				if (this.#gone.has(upload)) {
					refuse(`/${name}`, 'an upload of this account whose bytes were PUT', describe(upload))
				}
				this.#sql.exec('INSERT OR IGNORE INTO inputs (upload, generation) VALUES (?, ?)', upload, generation)
			}
		}
	}

	/** The generation's pictures are gone, and what they were made from may go as well. */
	release(generation: string): void {
		this.#sql.exec('DELETE FROM inputs WHERE generation = ?', generation)
	}

	/** Throws where a generation is still to be made from it; from now on nothing may use it. */
	giveUp(upload: string, now: number): void {
		const needed =
			"SELECT 1 FROM inputs JOIN generations ON id = generation WHERE upload = ? AND status IN ('queued', 'processing') LIMIT 1"
		if (this.#sql.exec(needed, upload).toArray().length > 0) {
			throw new ProblemError({ code: 'in-use', detail: `A generation that has not ended still needs ${upload}.` })
		}
		this.#goes([upload], now)
	}

	/** Of uploads, those that nothing needs any more, and that nothing may use from now on. */
	takeUnused(uploads: readonly { id: string; at: number }[], now: number): string[] {
		const unused = uploads
			.filter(({ at }) => at <= now - unusedFor)
			.map(({ id }) => id)
			.filter((id) => this.#sql.exec('SELECT 1 FROM inputs WHERE upload = ? LIMIT 1', id).toArray().length === 0)
		this.#goes(unused, now)
		return unused
	}

	#goes(uploads: readonly string[], now: number): void {
		for (const [id, at] of this.#gone) {
			if (at <= now - underWay) {
				this.#gone.delete(id)
			}
		}
		for (const id of uploads) {
			this.#gone.set(id, now)
		}
	}

	/** The upload that a page comes after, if it is not the first. */
	before(page: string): string | undefined {
		return page === firstPage || page === onceMore ? undefined : page
	}

	/** A page is done. Where something is `left` of it, all is swept again in a day; `next` is the following page, if there is one. */
	swept(page: string, left: number, next: string | undefined, now: number): void {
		this.#due.remove('sweep', page)
		if (left > 0) {
			this.#due.put('sweep', firstPage, now + unusedFor)
		} else if (next === undefined && page !== onceMore) {
			this.#due.put('sweep', onceMore, now + unusedFor)
		}
		if (next !== undefined) {
			this.#due.put('sweep', next, now + breath)
		}
	}
}
