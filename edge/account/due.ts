/**
 * Things that have to happen: `enqueue` brings a queued generation before the GPU nodes, `lease` looks after one being worked on,
 * `deadline` ends one that is late or was not started in time, `erase` removes objects that are not to be kept, `sweep` uploads that nothing
 * uses, `archive` moves the oldest books to R2, `webhook` sends what an origin is to be told,
 * `meter` what a sink is to count.
 */
export type Kind = 'enqueue' | 'lease' | 'deadline' | 'erase' | 'sweep' | 'archive' | 'webhook' | 'meter'

/**
 * How to do what is due: subject by subject, each inside a transaction that whatever has to be awaited outlasts; or all at once, and with
 * `inTurn` no more of them until that is done.
 */
export type Duty = {
	/** Milliseconds until a claimed row is due again, unless it was done or put off meanwhile. */
	again(now: number): number
} & ({ run(subject: string, now: number): void } | { runAll(subjects: string[]): Promise<void>; inTurn?: true })

/**
 * Due rows. One is written in the transaction that makes it necessary and deleted in the one that makes it needless, so what
 * was promised is found again after any crash.
 */
export class Due {
	readonly #sql: SqlStorage
	/** What `next` found, until a row changes; most calls change none. */
	#next: { at: number | undefined } | undefined
	/** Which kinds claims pass over, as there may be very many of them, and until when nothing else is due. */
	#passed = { kinds: '', until: -1 }

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	put(kind: Kind, subject: string, at: number): void {
		this.#note(at)
		this.#change('INSERT OR REPLACE INTO due (kind, subject, at) VALUES (?, ?, ?)', kind, subject, at)
	}

	/** Leaves a row as it is that is there already. */
	putOnce(kind: Kind, subject: string, at: number): void {
		this.#note(at)
		this.#change('INSERT OR IGNORE INTO due (kind, subject, at) VALUES (?, ?, ?)', kind, subject, at)
	}

	remove(kind: Kind, subject: string): void {
		this.#change('DELETE FROM due WHERE kind = ? AND subject = ?', kind, subject)
	}

	/** Up to `limit` rows whose time has come, not those of `busy` kinds, each put off first: should we crash, it comes back by itself. */
	claim(now: number, limit: number, putOff: (kind: Kind) => number, busy: Iterable<Kind> = []): Map<Kind, string[]> {
		const kinds = [...busy].map((kind) => `'${kind}'`).join()
		const { until } = kinds !== '' && kinds === this.#passed.kinds ? this.#passed : { until: -1 }
		const rows = this.#sql
			.exec<{ kind: Kind; subject: string }>(
				`SELECT kind, subject FROM due WHERE at > ? AND at <= ? AND kind NOT IN (${kinds}) ORDER BY at LIMIT ?`,
				...[until, now, limit]
			)
			.toArray()
		const claimed = new Map<Kind, string[]>()
		for (const { kind, subject } of rows) {
			this.#change('UPDATE due SET at = ? WHERE kind = ? AND subject = ?', now + putOff(kind), kind, subject)
			const subjects = claimed.get(kind)
			subjects ? subjects.push(subject) : claimed.set(kind, [subject])
		}
		if (kinds !== '') {
			this.#passed = { kinds, until: rows.length < limit ? now : until }
		}
		return claimed
	}

	/** Puts it off by half a second, doubled at each failure since it was put, to at most `longest`; with jitter. */
	failed(kind: Kind, subject: string, now: number, longest: number): void {
		this.#note(now)
		this.#change(
			'UPDATE due SET tries = tries + 1, at = ? + CAST(? * min(?, 500 << min(tries, 10)) AS INTEGER) WHERE kind = ? AND subject = ?',
			now,
			0.75 + Math.random() / 4,
			longest,
			kind,
			subject
		)
	}

	/** What is never put off for a minute, and is: the clock was set back since, and it would wait until that has caught up. */
	bringBack(now: number): void {
		this.#note(now)
		this.#change("UPDATE due SET at = ? WHERE kind IN ('enqueue', 'lease') AND at > ?", now, now + 60_000)
	}

	next(): number | undefined {
		this.#next ??= { at: this.#sql.exec<{ at: number | null }>('SELECT min(at) AS at FROM due').one().at ?? undefined }
		return this.#next.at
	}

	/** Something is due at a time that claims may have passed already. */
	#note(at: number): void {
		this.#passed.until = Math.min(this.#passed.until, at - 1)
	}

	#change(query: string, ...values: SqlStorageValue[]): void {
		this.#next = undefined
		this.#sql.exec(query, ...values)
	}
}
