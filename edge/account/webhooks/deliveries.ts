import type { Attempt, Delivery, DeliveryStatus } from '../../../shared/contract/webhooks.ts'
import { firstId, newId, timeOf } from '../../../shared/ids.ts'
import type { Reply } from '../../courier/courier.ts'
import { ProblemError } from '../../errors.ts'
import { type Page, pageOf } from '../page.ts'
import { pauseAfter } from './schedule.ts'

/** Milliseconds after which an attempt of which nothing was heard counts as lost: the object was evicted while it was under way. */
export const lost = 60_000
/** Milliseconds for which a delivery is listed after its event, unless it is still pending. */
export const listed = 30 * 24 * 3_600_000
const attemptsKept = 20
/** More than a call, or the end of an order, makes; an archive, which calls as well, has so many orders. */
const forgottenAtOnce = 10_000

export interface DeliveryRow extends Record<string, SqlStorageValue> {
	id: string
	endpoint: string | null
	lane: string
	url: string
	type: Delivery['type']
	generation: string | null
	n: number | null
	at: number
	status: DeliveryStatus
	tries: number
	due_at: number
	attempts: string
}

export type NewDelivery = Pick<DeliveryRow, 'endpoint' | 'url' | 'type' | 'generation' | 'n' | 'at'>

export interface DeliveryFilter {
	status?: DeliveryStatus | undefined
	generation?: string | undefined
	endpoint?: string | undefined
}

/** What is delivered one after the other or not: receivers at one origin share its patience. */
export const laneOf = (url: string): string => new URL(url).origin

/** Of the lane `?1`, without those that `?2` lists. */
const waiting = "status = 'pending' AND lane = ?1 AND id NOT IN (SELECT value FROM json_each(?2))"

/** Every event on its way to a receiver, with the attempts made. Methods run inside a transaction of the Account. */
export class Deliveries {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	add({ endpoint, url, type, generation, n, at }: NewDelivery): DeliveryRow {
		const id = newId('msg', at)
		this.#sql.exec(
			`INSERT INTO deliveries (id, endpoint, lane, url, type, generation, n, at, status, due_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?)`,
			...[id, endpoint, laneOf(url), url, type, generation, n, at, at]
		)
		return this.#expect(id)
	}

	/** Up to `limit` of a lane whose time has come and that are not under way, put off first: should we crash, they come back by themselves. */
	claim(lane: string, now: number, limit: number, underWay: ReadonlySet<string>): DeliveryRow[] {
		const rows = this.#sql
			.exec<DeliveryRow>(
				`SELECT * FROM deliveries WHERE ${waiting} AND due_at <= ?3 ORDER BY due_at LIMIT ?4`,
				...[lane, JSON.stringify([...underWay]), now, limit]
			)
			.toArray()
		for (const { id } of rows) {
			this.#sql.exec('UPDATE deliveries SET due_at = ? WHERE id = ?', now + lost, id)
		}
		return rows
	}

	/** When the lane has something to do next, but for what is under way. */
	next(lane: string, underWay: ReadonlySet<string>): number | undefined {
		const query = `SELECT min(due_at) AS at FROM deliveries WHERE ${waiting}`
		return this.#sql.exec<{ at: number | null }>(query, lane, JSON.stringify([...underWay])).one().at ?? undefined
	}

	/** What an attempt came to, at the `url` of then: the delivery may have been given up, moved or replayed while it was under way. */
	record({ id, url }: DeliveryRow, at: number, reply: Reply): DeliveryRow {
		const row = this.#expect(id)
		const { status, text, retryAfter, duration } = reply
		const isDelivered = status !== null && status >= 200 && status < 300
		const tries = row.tries + 1
		const attempt: Attempt = {
			at: new Date(at).toISOString(),
			status,
			error: isDelivered ? null : text || null,
			duration_ms: duration
		}
		const attempts = [...(JSON.parse(row.attempts) as Attempt[]), attempt].slice(-attemptsKept)
		const isOver = status === 410 && row.url === url
		const pause = isOver ? undefined : pauseAfter(tries, status === 429 || status === 503 ? retryAfter : null)
		const isGivenUp = row.status === 'failed' || pause === undefined
		const next: DeliveryStatus = isDelivered || row.status === 'delivered' ? 'delivered' : isGivenUp ? 'failed' : 'pending'
		this.#sql.exec(
			'UPDATE deliveries SET status = ?, tries = ?, due_at = ?, attempts = ? WHERE id = ?',
			...[next, tries, at + duration + (pause ?? 0), JSON.stringify(attempts), id]
		)
		return this.#expect(id)
	}

	/** Makes due what happened, or was tried last, at a time to come: the clock was set back since. Answers the lanes. */
	bringBack(now: number): Set<string> {
		const rows = this.#sql.exec<{ lane: string }>(
			"UPDATE deliveries SET due_at = ?1 WHERE status = 'pending' AND (at > ?1 OR json_extract(attempts, '$[#-1].at') > ?2) RETURNING lane",
			...[now, time(now)]
		)
		return new Set(rows.toArray().map(({ lane }) => lane))
	}

	/** Nobody is there any more. */
	giveUp(which: 'endpoint = ?' | 'endpoint IS NULL AND url = ?', value: string): void {
		this.#sql.exec(`UPDATE deliveries SET status = 'failed' WHERE status = 'pending' AND ${which}`, value)
	}

	/** What is on its way to an endpoint that has moved. */
	move(endpoint: string, url: string): void {
		const values = [url, laneOf(url), endpoint]
		this.#sql.exec("UPDATE deliveries SET url = ?, lane = ? WHERE status = 'pending' AND endpoint = ?", ...values)
	}

	/** The same event under the same id once more, with all of its attempts before it. */
	replay(id: string, url: string, now: number): DeliveryRow {
		this.#sql.exec(
			"UPDATE deliveries SET status = 'pending', tries = 0, due_at = ?, url = ?, lane = ? WHERE id = ?",
			...[now, url, laneOf(url), id]
		)
		return this.#expect(id)
	}

	read(id: string): Delivery {
		return deliveryOf(this.#expect(id))
	}

	/** Newest first; those older than the delivery `cursor`, where there is one. */
	list({ generation, ...filter }: DeliveryFilter, cursor: string | undefined, limit: number): Page<Delivery> {
		const { from, until } = generation === undefined ? {} : this.#spanOf(generation)
		const [before] = [cursor, until].filter((id) => id !== undefined).sort()
		const asked = { from, before, where: { generation, ...filter }, limit }
		const { items, next } = pageOf<DeliveryRow>(this.#sql, 'deliveries', asked)
		return { items: items.map(deliveryOf), next }
	}

	/** Among which ids a generation's deliveries are: whatever happens to it does so by its end. */
	#spanOf(generation: string): { from: string; until: string | undefined } {
		const row = this.#sql
			.exec<{ completed_at: number | null }>('SELECT completed_at FROM generations WHERE id = ?', generation)
			.toArray()[0]
		const end = row?.completed_at ?? undefined
		return { from: firstId('msg', timeOf(generation)), until: end === undefined ? undefined : firstId('msg', end + 1) }
	}

	/** So many at a time: of millions, from before a long silence, no call would come to the end. */
	forgetOld(now: number): void {
		this.#sql.exec(
			`DELETE FROM deliveries WHERE id IN (
				SELECT id FROM deliveries WHERE status != 'pending' AND id < ? ORDER BY id LIMIT ${forgottenAtOnce}
			)`,
			newId('msg', now - listed)
		)
	}

	#expect(id: string): DeliveryRow {
		const row = this.#sql.exec<DeliveryRow>('SELECT * FROM deliveries WHERE id = ?', id).toArray()[0]
		if (!row) {
			throw new ProblemError({ code: 'not-found', detail: `This account has no delivery ${id}.` })
		}
		return row
	}
}

const time = (ms: number) => new Date(ms).toISOString()

const deliveryOf = ({ id, endpoint, url, type, generation, status, attempts, due_at, at }: DeliveryRow): Delivery => ({
	id,
	endpoint,
	url,
	type,
	generation,
	status,
	attempts: JSON.parse(attempts),
	next_attempt_at: status === 'pending' ? time(due_at) : null,
	created_at: time(at)
})
