/** Things that have to happen: `enqueue` brings a queued generation before the GPU nodes, `lease` looks after one being worked on. */
export type Kind = 'enqueue' | 'lease'

/**
 * Due rows. One is written in the transaction that makes it necessary and deleted in the one that makes it needless, so what
 * was promised is found again after any crash.
 */
export class Due {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	put(kind: Kind, subject: string, at: number): void {
		this.#sql.exec('INSERT OR REPLACE INTO due (kind, subject, at) VALUES (?, ?, ?)', kind, subject, at)
	}

	remove(kind: Kind, subject: string): void {
		this.#sql.exec('DELETE FROM due WHERE kind = ? AND subject = ?', kind, subject)
	}

	/** Up to `limit` subjects whose time has come, each put off until `until()` first: should we crash, they come back by themselves. */
	claim(kind: Kind, now: number, limit: number, until: () => number): string[] {
		const subjects = this.#sql
			.exec<{ subject: string }>('SELECT subject FROM due WHERE kind = ? AND at <= ? ORDER BY at LIMIT ?', kind, now, limit)
			.toArray()
			.map((row) => row.subject)
		for (const subject of subjects) {
			this.#sql.exec('UPDATE due SET at = ? WHERE kind = ? AND subject = ?', until(), kind, subject)
		}
		return subjects
	}

	succeeded(kind: Kind, subject: string): void {
		this.#sql.exec('UPDATE due SET tries = 0 WHERE kind = ? AND subject = ? AND tries > 0', kind, subject)
	}

	/** Puts it off by half a second, doubled at each failure in a row, to at most `longest`; with jitter. */
	failed(kind: Kind, subject: string, now: number, longest: number): void {
		this.#sql.exec(
			'UPDATE due SET tries = tries + 1, at = ? + CAST(? * min(?, 500 << min(tries, 10)) AS INTEGER) WHERE kind = ? AND subject = ?',
			now,
			0.75 + Math.random() / 4,
			longest,
			kind,
			subject
		)
	}

	next(): number | undefined {
		return this.#sql.exec<{ at: number | null }>('SELECT min(at) AS at FROM due').one().at ?? undefined
	}
}
