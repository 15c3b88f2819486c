import type { FinishCall, ImageCall, ProgressCall, StartAnswer } from '../../shared/contract/callbacks.ts'
import { isTerminal } from '../../shared/contract/generation.ts'
import type { FieldError } from '../../shared/contract/problem.ts'
import { outputType } from '../../shared/outputs.ts'
import { ProblemError } from '../errors.ts'
import type { Allowances } from './allowances.ts'
import type { Due } from './due.ts'
import type { Generations } from './generations.ts'
import type { Observer } from './happenings.ts'
import type { Ledger } from './ledger.ts'
import type { Lineup } from './lineup.ts'
import { type Row, requestOf } from './rows.ts'
import type { UsageCounts } from './usage.ts'

/** Milliseconds. */
export const lease = 15_000
/** Attempts in a row that get no further: work that gets on, and be it by checkpoints alone, is never given up. */
export const mostAttempts = 10
/** Milliseconds that work which keeps being lost waits at most before it is queued again. */
const longestRest = 30_000

/** What `start` answers, but that a checkpoint is known by its epoch here: `callbacks/start.ts` signs its URL. */
export interface Grant extends Omit<StartAnswer, 'checkpoint'> {
	checkpointed: number | null
}

export type Progress = Omit<ProgressCall, 'previews' | 'partial_image'>

/** What the edge saw in R2. */
export interface Receipt {
	key: string
	size: number
	etag: string
}

interface Parts {
	sql: SqlStorage
	due: Due
	generations: Generations
	ledger: Ledger
	allowances: Allowances
	usage: UsageCounts
	lineup: Lineup
	tell: Observer
}

/**
 * What GPU nodes do to a generation: queued → processing, and back to queued with the next epoch when an attempt is lost.
 * Methods are synchronous and run inside a transaction of the Account, so each reads what it decides by.
 *
 * The epoch is the fence; the lease only says from when on it may be raised. A holder that calls late, but before anyone
 * raised the epoch, keeps its work.
 */
export class Attempts {
	readonly #sql: SqlStorage
	readonly #due: Due
	readonly #generations: Generations
	readonly #ledger: Ledger
	readonly #allowances: Allowances
	readonly #usage: UsageCounts
	readonly #lineup: Lineup
	readonly #tell: Observer

	constructor({ sql, due, generations, ledger, allowances, usage, lineup, tell }: Parts) {
		this.#sql = sql
		this.#due = due
		this.#generations = generations
		this.#ledger = ledger
		this.#allowances = allowances
		this.#usage = usage
		this.#lineup = lineup
		this.#tell = tell
	}

	/** Grants the epoch to `run`; to the same run as often as it asks, to another one never. */
	start(id: string, epoch: number, run: string, now: number): Grant {
		const row = this.#current(id, epoch)
		if (row.status === 'processing' && row.run !== run) {
			throw superseded(`Epoch ${epoch} was granted to another run.`)
		}
		if (row.status === 'queued') {
			this.#sql.exec(
				`UPDATE generations SET status = 'processing', run = ?, lease_until = ?, started_at = coalesce(started_at, ?)
				WHERE id = ?`,
				run,
				now + lease,
				now,
				id
			)
			this.#due.remove('enqueue', id)
			this.#due.put('lease', id, now + lease)
			this.#lineup.started(row, now)
			if (row.started_at === null) {
				this.#tell({ id, type: 'started', at: now })
			}
		}
		this.#renew(id, now)
		const delivered = this.#generations.pictures(id).map(({ n }) => n)
		return {
			request: requestOf(row),
			lease,
			delivered,
			priority: row.priority === 'low' ? 0 : 1,
			...(row.deadline !== null && { deadline: row.deadline - now }),
			checkpointed: row.checkpointed
		}
	}

	/** `shown`: numbers of pictures that it shows on their way. */
	progress(id: string, epoch: number, { done, total }: Progress, shown: readonly number[], now: number): void {
		const { count } = this.#held(id, epoch)
		expectFields(shown.map((n) => within('/n', n, count)))
		// Never less than was told before: a node whose engine has crashed does some of it again.
		this.#sql.exec('UPDATE generations SET done = min(max(coalesce(done, 0), ?1), ?2), total = ?2 WHERE id = ?3', done, total, id)
		this.#renew(id, now)
	}

	confirm(id: string, epoch: number, now: number): void {
		this.#held(id, epoch)
		this.#renew(id, now)
	}

	/** The epoch's checkpoint is in R2; whoever is granted the work next goes on from there. */
	checkpointed(id: string, epoch: number, now: number): void {
		this.#held(id, epoch)
		this.#sql.exec('UPDATE generations SET checkpointed = ? WHERE id = ?', epoch, id)
		this.#renew(id, now)
	}

	/** Queues it again at once. The attempt does not count: its node was stopped, and said so. */
	handBack(id: string, epoch: number, now: number): void {
		this.#held(id, epoch)
		this.#queueAgain(id, now)
	}

	/** Whether picture `n` may be uploaded by this epoch. */
	permit(id: string, epoch: number, n: number, now: number): void {
		expectFields([within('/n', n, requestOf(this.#held(id, epoch)).count)])
		this.#renew(id, now)
	}

	/** Makes an object that was seen in R2 the generation's picture `n`, and charges it. The first one stays, whatever comes later. */
	capture(id: string, epoch: number, picture: ImageCall, receipt: Receipt, now: number): void {
		const row = this.#held(id, epoch)
		if (row.deadline !== null && row.deadline < now) {
			throw new ProblemError({ code: 'ended', detail: 'Its deadline has passed.' }) // The alarm is late.
		}
		const request = requestOf(row)
		const { n, width, height, seed, content_type } = picture
		expectFields([
			within('/n', n, request.count),
			exactly('/width', width, request.width),
			exactly('/height', height, request.height),
			exactly('/seed', seed, (request.seed + n) >>> 0),
			exactly('/content_type', content_type, outputType(request.output_format ?? 'png'))
		])
		const { rowsWritten } = this.#sql.exec(
			'INSERT OR IGNORE INTO pictures (generation, n, key, size, etag, captured_at, content_type, width, height, seed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
			id,
			n,
			receipt.key,
			receipt.size,
			receipt.etag,
			now,
			content_type,
			width,
			height,
			seed
		)
		if (rowsWritten > 0) {
			const { key, model, price } = row
			this.#ledger.capture(id, n, price, now)
			this.#allowances.charge(key ?? '', price)
			if (key !== null) {
				this.#usage.add(key, model, price, now)
			}
			this.#tell({ id, type: 'image', n, model, price, at: now })
		}
		this.#renew(id, now)
	}

	finish(id: string, epoch: number, call: FinishCall, now: number): void {
		const row = this.#held(id, epoch)
		if (call.outcome === 'failed') {
			this.#generations.fail(id, call.reason ?? 'engine-failed', call.detail, now)
			return
		}
		const delivered = this.#generations.pictures(id).length
		const { count } = requestOf(row)
		if (delivered < count) {
			throw new ProblemError({ code: 'undelivered', detail: `Expected ${count} delivered pictures, got ${delivered}.` })
		}
		const warnings = JSON.stringify([...JSON.parse(row.warnings), ...(call.warnings ?? [])])
		this.#sql.exec('UPDATE generations SET inference_ms = ?, warnings = ? WHERE id = ?', call.inference_ms, warnings, id)
		this.#generations.end(id, 'succeeded', now)
	}

	/** Takes the work from a holder whose lease is overdue. */
	reclaim(id: string, now: number): void {
		const row = this.#generations.find(id)
		if (row?.status !== 'processing') {
			this.#due.remove('lease', id)
			return
		}
		const until = row.lease_until as number
		if (until > now) {
			if (until > now + lease) {
				this.#renew(id, now)
			}
			this.#due.put('lease', id, Math.min(until, now + lease))
			return
		}
		const done = row.done ?? 0
		const lost = done > row.reached ? 1 : row.lost + 1
		if (lost >= mostAttempts) {
			const detail = `${mostAttempts} attempts in a row got no further, and were not heard of again.`
			this.#generations.fail(id, 'attempts-exhausted', detail, now)
			return
		}
		this.#sql.exec('UPDATE generations SET lost = ?, reached = ? WHERE id = ?', lost, Math.max(done, row.reached), id)
		// Something among what was lost together may be what kills the nodes: apart, the others get away from it.
		const rest = lost === 1 ? 0 : Math.random() * Math.min(500 * 2 ** lost, longestRest)
		this.#queueAgain(id, now + Math.floor(rest))
	}

	/** The row, if `epoch` is its latest and it has not ended. */
	#current(id: string, epoch: number): Row {
		const row = this.#generations.find(id)
		if (!row || isTerminal(row.status)) {
			throw new ProblemError({ code: 'ended', detail: row ? `It has ended: ${row.status}.` : 'It is gone.' })
		}
		if (row.epoch !== epoch) {
			throw superseded(`Epoch ${row.epoch} is current, got ${epoch}.`)
		}
		return row
	}

	/** The row, if `epoch` was also granted to someone. */
	#held(id: string, epoch: number): Row {
		const row = this.#current(id, epoch)
		if (row.status !== 'processing') {
			throw superseded(`Epoch ${epoch} was not started.`)
		}
		return row
	}

	/** With the next epoch, which fences whoever held it; not before `at`. */
	#queueAgain(id: string, at: number): void {
		this.#sql.exec(
			`UPDATE generations SET status = 'queued', place = 1, epoch = epoch + 1, run = NULL, lease_until = NULL, done = NULL, total = NULL
			WHERE id = ?`,
			id
		)
		this.#due.remove('lease', id)
		this.#due.put('enqueue', id, at)
	}

	/**
	 * Callbacks often come in quick succession, and a write costs them more than all else: a lease that was renewed within
	 * the last second is left as it is. So is its due row; `reclaim` moves that when its time has come. A lease that is longer than one can be is
	 * of before the clock was set back.
	 */
	#renew(id: string, now: number): void {
		const until = now + lease
		const isOld = 'lease_until NOT BETWEEN ? AND ?'
		this.#sql.exec(`UPDATE generations SET lease_until = ? WHERE id = ? AND ${isOld}`, until, id, until - 1_000, until)
	}
}

const superseded = (detail: string) => new ProblemError({ code: 'superseded', detail })

function expectFields(errors: (FieldError | undefined)[]): void {
	const found = errors.filter((error) => error !== undefined)
	if (found.length > 0) {
		throw new ProblemError({ code: 'invalid-request', detail: 'The picture is not the one asked for.', errors: found })
	}
}

const exactly = (pointer: string, got: number | string, expected: number | string): FieldError | undefined =>
	got === expected ? undefined : fieldError(pointer, got, String(expected))

const within = (pointer: string, got: number, count: number): FieldError | undefined =>
	got < count ? undefined : fieldError(pointer, got, `less than ${count}, the count asked for`)

const fieldError = (pointer: string, got: number | string, expected: string): FieldError => ({
	pointer,
	detail: 'It does not match the request.',
	expected,
	received: String(got)
})
