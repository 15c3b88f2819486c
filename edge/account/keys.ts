import { ProblemError } from '../errors.ts'

/** The account's API keys, by their hashes alone. */
export class Keys {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	add(hash: string, name: string, now: number): void {
		this.#sql.exec('INSERT INTO keys (hash, name, created_at) VALUES (?, ?, ?)', hash, name, now)
	}

	confirm(hash: string): void {
		if (this.#sql.exec('SELECT 1 FROM keys WHERE hash = ?', hash).toArray().length === 0) {
			throw new ProblemError({ code: 'unauthorized', detail: 'The API key is not valid any more.' })
		}
	}
}
