import type { Usage } from '../../shared/contract/account.ts'
import { refuse } from '../refuse.ts'

/** That are told of at once: an object's memory, and what one call between objects may carry, hold not many times as many. */
export const mostRows = 50_000

/** The day (UTC) of a time in milliseconds. */
export const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** Charged pictures and their price, counted by day, key and model. */
export class UsageCounts {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	add(key: string, model: string, amount: number, now: number): void {
		this.#sql.exec(
			`INSERT INTO usage (day, key, model, pictures, amount) VALUES (?, ?, ?, 1, ?)
			ON CONFLICT (day, key, model) DO UPDATE SET pictures = pictures + 1, amount = amount + excluded.amount`,
			dayOf(now),
			key,
			model,
			amount
		)
	}

	/** Micro-units charged from one day to before another, by the keys of one lineage where it is named. */
	spent(from: string, before: string, lineage?: string): number {
		return this.#sql
			.exec<{ amount: number }>(
				`SELECT coalesce(sum(amount), 0) AS amount FROM usage
				WHERE day >= ?1 AND day < ?2 AND (?3 IS NULL OR key IN (SELECT hash FROM keys WHERE lineage = ?3))`,
				from,
				before,
				lineage ?? null
			)
			.one().amount
	}

	/** From one day to another, both included. */
	list(from: string, to: string): Usage[] {
		const rows = this.#sql
			.exec<Usage & Record<string, SqlStorageValue>>(
				`SELECT day, model, keys.id AS key, keys.name AS key_name, pictures, amount
				FROM (SELECT * FROM usage WHERE day BETWEEN ? AND ? ORDER BY day LIMIT ?) counted JOIN keys ON keys.hash = counted.key
				ORDER BY day, model, keys.id`,
				...[from, to, mostRows + 1]
			)
			.toArray()
		const next = rows[mostRows]?.day
		return next === undefined ? rows : refuse('/to', `a time of at most ${mostRows} rows`, `more until ${next} already`)
	}
}
