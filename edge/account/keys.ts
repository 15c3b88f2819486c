import type { ApiKey, KeyRequest, Limits, Scope } from '../../shared/contract/account.ts'
import { newId } from '../../shared/ids.ts'
import { ProblemError } from '../errors.ts'
import { refuse } from '../refuse.ts'
import { firstOf, type Page } from './page.ts'

/** Milliseconds: how exactly it is known when a key was last used. A write at each use would cost more than that is worth. */
const usedWithin = 60_000
/** Of those that are valid. One for each of an owner's programs, not for each of its customers. */
const mostKeys = 100

interface Row extends Record<string, SqlStorageValue> {
	hash: string
	id: string
	name: string
	scopes: string
	created_at: number
	last_used_at: number | null
	expires_at: number | null
	revoked_at: number | null
	limits: string
	lineage: string
}

/** The account's API keys, by their hashes alone. */
export class Keys {
	readonly #sql: SqlStorage
	/** Rows as they are: each call of a key reads its own. Whatever writes one forgets it, so that nothing is known that is taken back. */
	readonly #known = new Map<string, Row>()

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	add(hash: string, { name, scopes, expires_at, limits }: KeyRequest, now: number, lineage = hash): ApiKey {
		if (expires_at && Date.parse(expires_at) <= now) {
			refuse('/expires_at', 'a time to come', JSON.stringify(expires_at))
		}
		const valid = 'SELECT count(*) AS n FROM keys WHERE revoked_at IS NULL AND coalesce(expires_at > ?, true)'
		const { n } = this.#sql.exec<{ n: number }>(valid, now).one()
		if (n >= mostKeys) {
			const detail = `Expected at most ${mostKeys} valid keys; revoke one first, or rotate one with an overlap of 0.`
			throw new ProblemError({ code: 'too-many-keys', detail })
		}
		this.#sql.exec(
			'INSERT INTO keys (hash, id, name, scopes, created_at, expires_at, limits, lineage) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
			hash,
			newId('key', now),
			name,
			JSON.stringify(scopes),
			now,
			expires_at ? Date.parse(expires_at) : null,
			JSON.stringify(limits),
			lineage
		)
		return present(this.#find('hash', hash) as Row)
	}

	/** Lets a key of the account do what any one of `scopes` allows, within its own limits. */
	confirm(hash: string, now: number, ...scopes: Scope[]): Partial<Limits> {
		const row = this.#known.get(hash) ?? this.#find('hash', hash)
		if (!row || row.revoked_at !== null || (row.expires_at !== null && row.expires_at <= now)) {
			throw new ProblemError({ code: 'unauthorized', detail: 'The API key is not valid any more.' })
		}
		const allowed: Scope[] = JSON.parse(row.scopes)
		if (!scopes.some((scope) => allowed.includes(scope))) {
			const detail = `Expected a key with the scope ${scopes.join(' or ')}, got one with ${allowed.join(', ')}.`
			throw new ProblemError({ code: 'forbidden', detail })
		}
		if (now - (row.last_used_at ?? 0) >= usedWithin) {
			this.#sql.exec('UPDATE keys SET last_used_at = ? WHERE hash = ?', now, hash)
			this.#known.delete(hash)
		} else {
			this.#known.set(hash, row)
		}
		return JSON.parse(row.limits)
	}

	/** Throws where the key `hash` has limits, which another one in the same hands would be a way round; but `id`, if it shares them, may be that one. */
	expectUnlimited(hash: string, id?: string): void {
		const { lineage, ...row } = this.#find('hash', hash) as Row
		const limits: Partial<Limits> = JSON.parse(row.limits)
		const held = Object.entries(limits).flatMap(([name, limit]) => (limit === null ? [] : name))
		if (held.length > 0 && (id === undefined || this.#expect(id).lineage !== lineage)) {
			const detail = `Expected a key without limits of its own, which others would be a way round, got one with ${held.join(', ')}; it may rotate itself.`
			throw new ProblemError({ code: 'forbidden', detail })
		}
	}

	/** Newest first; those older than the key `cursor`, where there is one. */
	list(cursor: string | undefined, limit: number): Page<ApiKey> {
		const rows = this.#sql.exec<Row>('SELECT * FROM keys WHERE id < ? ORDER BY id DESC LIMIT ?', cursor ?? '~', limit + 1)
		return firstOf(rows.toArray().map(present), limit, ({ id }) => id)
	}

	/** A new key like the old one, which stops being valid `overlap` milliseconds later, if it would not do so before. They share their limits. */
	rotate(id: string, hash: string, overlap: number, now: number): ApiKey {
		const { name, scopes, expires_at, revoked_at, limits, lineage } = this.#expect(id)
		if (revoked_at !== null || (expires_at !== null && expires_at <= now)) {
			throw new ProblemError({ code: 'not-found', detail: `${id} is not valid any more.` })
		}
		// Of one that was rotated before, to the end of its overlap, it is the youngest that still has what they were all made with.
		const youngest = 'SELECT expires_at FROM keys WHERE lineage = ? ORDER BY id DESC LIMIT 1'
		const until = this.#sql.exec<Pick<Row, 'expires_at'>>(youngest, lineage).one().expires_at
		this.#sql.exec('UPDATE keys SET expires_at = min(coalesce(expires_at, ?), ?) WHERE id = ?', now + overlap, now + overlap, id)
		this.#known.clear()
		const request = { name, scopes: JSON.parse(scopes), expires_at: time(until), limits: JSON.parse(limits) }
		return this.add(hash, request, now, lineage)
	}

	/** At once and for ever. */
	revoke(id: string, now: number): void {
		this.#expect(id)
		this.#sql.exec('UPDATE keys SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?', now, id)
		this.#known.clear()
	}

	#find(column: 'hash' | 'id', value: string): Row | undefined {
		return this.#sql.exec<Row>(`SELECT * FROM keys WHERE ${column} = ?`, value).toArray()[0]
	}

	#expect(id: string): Row {
		const row = this.#find('id', id)
		if (!row) {
			throw new ProblemError({ code: 'not-found', detail: `This account has no key ${id}.` })
		}
		return row
	}
}

const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())

const present = ({ id, name, scopes, created_at, last_used_at, expires_at, revoked_at, limits }: Row): ApiKey => ({
	id,
	name,
	scopes: JSON.parse(scopes),
	created_at: new Date(created_at).toISOString(),
	last_used_at: time(last_used_at),
	expires_at: time(expires_at),
	revoked_at: time(revoked_at),
	limits: JSON.parse(limits)
})
