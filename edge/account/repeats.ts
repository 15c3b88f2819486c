import { isTerminal, type Status } from '../../shared/contract/generation.ts'
import { ProblemError } from '../errors.ts'

/** An order that says of itself that it may have been sent before. */
export interface Repeat {
	/** Under which its first sending is remembered, for `life` milliseconds. */
	name: string
	fingerprint: string
	life: number
	/**
	 * `always`: an Idempotency-Key, the same generation whatever became of it. `lost`: an SDK's declared retry, the same one only until a
	 * client has had its end. `never`: an SDK's first sending, which is remembered alone.
	 */
	matches: 'always' | 'lost' | 'never'
}

/** Orders that may come again (invariant 5). */
export class Repeats {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	/** The generation that it ordered before. */
	find({ name, fingerprint, matches }: Repeat, now: number): string | undefined {
		const row = this.#sql
			.exec<{ generation: string; fingerprint: string; status: Status; seen_at: number | null }>(
				`SELECT generation, fingerprint, status, seen_at FROM repeats JOIN generations ON id = generation
				WHERE name = ? AND until > ?`,
				name,
				now
			)
			.toArray()[0]
		if (!row || matches === 'never') {
			return undefined
		}
		if (row.fingerprint !== fingerprint) {
			const detail = 'The idempotency key was sent with another request before; expected the same one, or a new key.'
			throw new ProblemError({ code: 'idempotency-key-reused', detail })
		}
		if (matches === 'lost' && isTerminal(row.status) && row.seen_at !== null && row.seen_at <= now) {
			return undefined
		}
		return row.generation
	}

	remember({ name, fingerprint, life }: Repeat, generation: string, now: number): void {
		// After a long silence there may be millions, too many for one order.
		const old = 'SELECT name FROM repeats WHERE until <= ? LIMIT 100'
		this.#sql.exec(`DELETE FROM repeats WHERE name IN (${old})`, now)
		this.#sql.exec(
			'INSERT OR REPLACE INTO repeats (name, fingerprint, generation, until) VALUES (?, ?, ?, ?)',
			name,
			fingerprint,
			generation,
			now + life
		)
	}
}
