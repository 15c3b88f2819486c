import { isTerminal, type Status, type Warning } from '../../shared/contract/generation.ts'
import type { Order } from '../../shared/contract/order.ts'
import { targetOf, type WebhookTarget } from '../../shared/contract/webhooks.ts'
import { firstId } from '../../shared/ids.ts'
import { ProblemError } from '../errors.ts'
import type { Allowances } from './allowances.ts'
import type { Archives } from './archives.ts'
import type { Receipt } from './attempts.ts'
import { deadlinesOf, longestWait } from './deadlines.ts'
import type { Due } from './due.ts'
import type { Failure } from './failures.ts'
import type { Happening, Observer } from './happenings.ts'
import type { Inputs } from './inputs.ts'
import type { Ledger } from './ledger.ts'
import type { Lineup } from './lineup.ts'
import { firstOf, type Page, pageOf } from './page.ts'
import type { Plans } from './plans.ts'
import { fresh, heldFor, type PictureRow, type Row, snapshotOf } from './rows.ts'
import type { Snapshot } from './snapshot.ts'

/** Which generations a list tells of. Times are milliseconds. */
export interface Filter {
	status?: Status | undefined
	model?: string | undefined
	after?: number | undefined
	before?: number | undefined
}

interface Parts {
	sql: SqlStorage
	due: Due
	ledger: Ledger
	allowances: Allowances
	plans: Plans
	lineup: Lineup
	inputs: Inputs
	archives: Archives
	tell: Observer
}

const never = Number.POSITIVE_INFINITY
/** Milliseconds after an end at which no URL for an upload is good any more. */
const afterwards = 10 * 60_000

const ends = {
	succeeded: 'completed',
	failed: 'failed',
	canceled: 'canceled',
	expired: 'expired'
} as const satisfies Partial<Record<Status, Happening['type']>>
type End = keyof typeof ends

/**
 * What a customer orders, and every way in which it can end: queued → processing → succeeded | failed | canceled | expired.
 * Attempts says how GPU nodes bring it forward. Methods are synchronous and run inside a transaction of the Account, so each
 * reads what it decides by.
 */
export class Generations {
	readonly #sql: SqlStorage
	readonly #due: Due
	readonly #ledger: Ledger
	readonly #allowances: Allowances
	readonly #plans: Plans
	readonly #lineup: Lineup
	readonly #inputs: Inputs
	readonly #archives: Archives
	readonly #tell: Observer

	constructor({ sql, due, ledger, allowances, plans, lineup, inputs, archives, tell }: Parts) {
		this.#sql = sql
		this.#due = due
		this.#ledger = ledger
		this.#allowances = allowances
		this.#plans = plans
		this.#lineup = lineup
		this.#inputs = inputs
		this.#archives = archives
		this.#tell = tell
	}

	/** `price`: of one picture, in micro-units; that of all is held until it ends. */
	add(id: string, key: string, { request, terms }: Order, warnings: readonly Warning[], price: number, now: number): Snapshot {
		this.#ledger.hold(id, price * request.count, now)
		this.#allowances.begin(key, { pictures: request.count, amount: price * request.count })
		this.#inputs.use(id, request)
		const place = this.#lineup.place(request.model, terms.priority, now)
		// Not `RETURNING *`, which takes as long as the rest of the statement.
		const row: Row = {
			...fresh,
			id,
			key,
			request: JSON.stringify(request),
			model: request.model,
			warnings: JSON.stringify(warnings),
			created_at: now,
			priority: terms.priority,
			...deadlinesOf(terms, now),
			url_ttl: terms.url_ttl,
			count: request.count,
			price,
			webhook: terms.webhook && JSON.stringify(terms.webhook),
			place
		}
		this.#sql.exec(
			`INSERT INTO generations (id, key, request, model, warnings, status, epoch, created_at, priority, deadline, start_deadline, url_ttl, count, price, webhook, place)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			...[id, key, row.request, row.model, row.warnings, row.status, row.epoch, now],
			...[row.priority, row.deadline, row.start_deadline, row.url_ttl, row.count, price, row.webhook, place]
		)
		if (place !== null) {
			this.#due.put('enqueue', id, now)
		}
		const until = deadlineOf(row)
		if (until !== null) {
			this.#due.put('deadline', id, until)
		}
		return snapshotOf(row, [], request)
	}

	/** What a job is made of, and until when it waits. Undefined when the generation does not wait for a node. */
	waiting(id: string): { model: string; epoch: number; place: number; until: number } | undefined {
		const row = this.find(id)
		return row?.status === 'queued' ? { model: row.model, epoch: row.epoch, place: row.place ?? 1, until: endOf(row) } : undefined
	}

	/** Where it waits: as which job, and how many of this account go into the queue before it; null where it is there. */
	inLine(id: string): { model: string; epoch: number; before: number | null } | undefined {
		const row = this.find(id)
		return row?.status === 'queued' ? { model: row.model, epoch: row.epoch, before: this.#lineup.before(row) } : undefined
	}

	/** Who is to be told of this one alone. */
	webhook(id: string): ReturnType<typeof targetOf> | undefined {
		const row = this.#sql.exec<Pick<Row, 'webhook'>>('SELECT webhook FROM generations WHERE id = ?', id).toArray()[0]
		return row?.webhook ? targetOf(JSON.parse(row.webhook) as WebhookTarget) : undefined
	}

	read(id: string): Snapshot {
		return snapshotOf(this.#expect(id), this.pictures(id))
	}

	/** Notes from when on a client has certainly been told of the end. */
	markSeen(id: string, at: number): void {
		this.#sql.exec(
			'UPDATE generations SET seen_at = ?1 WHERE id = ?2 AND coalesce(seen_at > ?1, true) AND completed_at IS NOT NULL',
			...[at, id]
		)
	}

	/** Newest first; those older than the generation `cursor`, where there is one. */
	list({ status, model, after, before }: Filter, cursor: string | undefined, limit: number): Page<Snapshot> {
		// Ids begin with the time of their order.
		const from = after === undefined ? undefined : firstId('gen', after)
		const [end] = [cursor, before === undefined ? undefined : firstId('gen', before)].filter((id) => id !== undefined).sort()
		const where = { status, model, deleted_at: null }
		const { items, next } = pageOf<Row>(this.#sql, 'generations', { from, before: end, where, limit })
		return { items: items.map((row) => snapshotOf(row, this.pictures(row.id))), next }
	}

	/** Ends it, unless it has ended. Pictures that were captured before stay delivered. */
	cancel(id: string, now: number): void {
		if (!isTerminal(this.#expect(id).status)) {
			this.end(id, 'canceled', now)
		}
	}

	/** Forgets what was asked for and drawn. What remains is what the account was charged for: receipts without a picture. */
	delete(id: string, now: number): void {
		this.cancel(id, now)
		this.#sql.exec(
			"UPDATE generations SET deleted_at = ?, request = '{}', warnings = '[]', failure_detail = NULL WHERE id = ?",
			now,
			id
		)
		this.#due.put('erase', id, now)
	}

	/** Ends what its deadline has passed, and looks again at the one that is still to come. */
	expire(id: string, now: number): void {
		const row = this.find(id)
		const until = row && !isTerminal(row.status) ? endOf(row) : never
		if (until === never) {
			this.#due.remove('deadline', id)
		} else if (until > now) {
			this.#due.put('deadline', id, until)
		} else {
			this.end(id, 'expired', now)
		}
	}

	/** Of every picture that must be in R2, from after the key `cursor` on. */
	receipts(cursor: string, limit: number): Page<Receipt> {
		const rows = this.#sql
			.exec<Receipt & Record<string, SqlStorageValue>>(
				`SELECT pictures.key, size, etag FROM pictures JOIN generations ON id = generation
				WHERE generation >= ? AND pictures.key > ? AND deleted_at IS NULL AND removed_at IS NULL ORDER BY generation, pictures.key LIMIT ?`,
				cursor.split('/')[0] as string,
				cursor,
				limit + 1
			)
			.toArray()
		return firstOf<Receipt, string>(rows, limit, ({ key }) => key)
	}

	/**
	 * Which of its objects are kept now, and when to look again. Captured ones are until it is deleted or the plan's days are over; what else
	 * attempts have left behind is not.
	 */
	retained(id: string, now: number): { keys: Set<string>; again: number | undefined } {
		const row = this.#sql.exec<Row>('SELECT * FROM generations WHERE id = ?', id).toArray()[0]
		if (!row || row.completed_at === null) {
			return { keys: new Set(), again: undefined }
		}
		const keys = new Set(this.pictures(id).map(({ key }) => key))
		const until = row.deleted_at ?? row.completed_at + this.#plans.retentionDays * 86_400_000
		if (now < until && keys.size > 0) {
			return { keys, again: until }
		}
		const settled = row.completed_at + afterwards
		return { keys: new Set(), again: now < settled ? settled : undefined }
	}

	/** Nothing is left of its objects. */
	erased(id: string, now: number): void {
		this.#sql.exec(
			`UPDATE generations SET removed_at = coalesce(removed_at, ?)
			WHERE id = ? AND EXISTS (SELECT 1 FROM pictures WHERE generation = generations.id)`,
			now,
			id
		)
		this.#inputs.release(id)
	}

	fail(id: string, failure: Failure, detail: string, now: number): void {
		this.#sql.exec('UPDATE generations SET failure = ?, failure_detail = ? WHERE id = ?', failure, detail, id)
		this.end(id, 'failed', now)
	}

	end(id: string, status: End, now: number): void {
		const row = this.#expect(id)
		const left = heldFor(row, this.pictures(id).length)
		this.#ledger.release(id, left, now)
		this.#allowances.end(row.key ?? '', row.count, left)
		this.#sql.exec('UPDATE generations SET status = ?, completed_at = ?, lease_until = NULL WHERE id = ?', status, now, id)
		for (const kind of ['lease', 'enqueue', 'deadline'] as const) {
			this.#due.remove(kind, id)
		}
		// Only where every attempt went well is there nothing but pictures in storage.
		const isClean = status === 'succeeded' && row.epoch === 1
		this.#due.put('erase', id, now + (isClean ? this.#plans.retentionDays * 86_400_000 : afterwards))
		if (row.status === 'queued') {
			this.#lineup.advance(row.model, now)
		}
		const { model, epoch } = row
		const queued = row.status === 'queued' && row.place !== null ? { model, epoch } : undefined
		this.#tell({ id, type: ends[status], at: now, queued })
	}

	/** Gives back what was charged for it, once it has ended: all of it, once. */
	refund(id: string, now: number): void {
		const row = this.#sql.exec<Row>('SELECT * FROM generations WHERE id = ?', id).toArray()[0]
		if (row && !isTerminal(row.status)) {
			throw new ProblemError({ code: 'not-ended', detail: `${id} is ${row.status}; cancel it first.` })
		}
		const charged = row ? row.price * this.pictures(id).length - row.refunded : 0
		if (!row) {
			this.#archives.expectKept(id)
		}
		if (!row || charged === 0) {
			throw new ProblemError({ code: 'not-found', detail: `Nothing is charged for ${id}.` })
		}
		this.#ledger.refund(id, charged, now)
		this.#sql.exec('UPDATE generations SET refunded = refunded + ? WHERE id = ?', charged, id)
	}

	find(id: string): Row | undefined {
		return this.#sql.exec<Row>('SELECT * FROM generations WHERE id = ? AND deleted_at IS NULL', id).toArray()[0]
	}

	pictures(id: string): PictureRow[] {
		return this.#sql
			.exec<PictureRow>(
				'SELECT n, key, size, content_type, width, height, seed FROM pictures WHERE generation = ? ORDER BY n',
				id
			)
			.toArray()
	}

	#expect(id: string): Row {
		const row = this.find(id)
		if (!row) {
			this.#archives.expectKept(id)
			throw new ProblemError({ code: 'not-found', detail: `This account has no generation ${id}.` })
		}
		return row
	}
}

/** When one that has not ended does so by itself. */
const endOf = (row: Row): number =>
	Math.min(deadlineOf(row) ?? never, row.status === 'queued' ? row.created_at + longestWait : never)

/** When it is asked to end. Once a node has started it, its start deadline was kept, even if that node is lost and it waits for another. */
function deadlineOf({ deadline, start_deadline, started_at }: Row): number | null {
	const ahead = [deadline, started_at === null ? start_deadline : null].filter((at) => at !== null)
	return ahead.length > 0 ? Math.min(...ahead) : null
}
