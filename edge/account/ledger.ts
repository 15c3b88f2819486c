import type { Balance, LedgerEntry } from '../../shared/contract/account.ts'
import { inUnits } from '../../shared/pricing.ts'
import { ProblemError } from '../errors.ts'
import { refuse } from '../refuse.ts'
import { firstOf, type Page } from './page.ts'

type Kind = LedgerEntry['kind']
type Side = LedgerEntry['from']

/** From where to where each kind of entry moves money. */
const moves: Record<Kind, [from: Side, to: Side]> = {
	credit: ['funds', 'available'],
	debit: ['available', 'funds'],
	hold: ['available', 'held'],
	capture: ['held', 'charged'],
	release: ['held', 'available'],
	refund: ['charged', 'available']
}

interface About {
	generation?: string
	picture?: number
	reference?: string
}

interface Row extends Record<string, SqlStorageValue> {
	id: number
	at: number
	kind: Kind
	amount: number
	generation: string | null
	picture: number | null
	reference: string | null
}

/**
 * The account's money, double-entry and in micro-units: each entry takes from one side what it gives to another, and the account's row of
 * `tallies` changes with it. The schema itself refuses a balance below zero, and a second capture of a picture.
 */
export class Ledger {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	balance(): Balance {
		return this.#sql
			.exec<Balance & Record<string, number>>("SELECT available, held, charged FROM tallies WHERE subject = ''")
			.one()
	}

	/** Books a credit once, whatever is sent again under its reference; below zero a debit, of what is available. */
	credit(amount: number, reference: string, now: number): void {
		const [booked] = this.#sql
			.exec<{ amount: number }>(
				"SELECT iif(kind = 'debit', -amount, amount) AS amount FROM ledger WHERE reference = ?",
				reference
			)
			.toArray()
		if (!booked) {
			this.#expectRoom(amount)
			this.#move(amount < 0 ? 'debit' : 'credit', Math.abs(amount), now, { reference })
		} else if (booked.amount !== amount) {
			const detail = `${reference} was booked with ${booked.amount}, got ${amount}.`
			throw new ProblemError({ code: 'reference-reused', detail })
		}
	}

	/** Nobody gives back more than they have. And beyond 2⁵³ not each integer is a number: what comes in is the most that any side can have. */
	#expectRoom(amount: number): void {
		const { available } = this.balance()
		if (amount < -available) {
			refuse('/amount', `at least ${-available}, which takes back all that is available`, String(amount))
		}
		const { given } = this.#sql.exec<{ given: number }>("SELECT -funds AS given FROM tallies WHERE subject = ''").one()
		const room = Number.MAX_SAFE_INTEGER - given
		if (amount > room) {
			refuse('/amount', `at most ${room} micro-units after the ${given} that the account was given`, String(amount))
		}
	}

	/** Sets aside what a generation may cost, or refuses it. */
	hold(generation: string, amount: number, now: number): void {
		if (amount === 0) {
			return
		}
		const { rowsWritten } = this.#sql.exec(
			"UPDATE tallies SET available = available - ?1, held = held + ?1 WHERE subject = '' AND available >= ?1",
			amount
		)
		if (rowsWritten === 0) {
			const { available } = this.balance()
			throw new ProblemError({
				code: 'insufficient-credit',
				detail: `The order may cost ${inUnits(amount)}, and the account has credit of ${inUnits(available)}.`,
				needed: amount,
				available
			})
		}
		this.#enter('hold', amount, now, { generation })
	}

	capture(generation: string, picture: number, amount: number, now: number): void {
		this.#move('capture', amount, now, { generation, picture })
	}

	/** Gives back what a generation that has ended did not cost. */
	release(generation: string, amount: number, now: number): void {
		this.#move('release', amount, now, { generation })
	}

	refund(generation: string, amount: number, now: number): void {
		this.#move('refund', amount, now, { generation })
	}

	/** Newest first; those older than the entry `cursor`, where there is one. */
	list(cursor: number | undefined, limit: number): Page<LedgerEntry, number> {
		const rows = this.#sql
			.exec<Row>('SELECT * FROM ledger WHERE id < ? ORDER BY id DESC LIMIT ?', cursor ?? Number.MAX_SAFE_INTEGER, limit + 1)
			.toArray()
			.map(({ at, kind, ...row }) => ({
				...row,
				at: new Date(at).toISOString(),
				kind,
				from: moves[kind][0],
				to: moves[kind][1]
			}))
		return firstOf(rows, limit, ({ id }) => id)
	}

	/** The balances as the entries make them, here and in the archives. */
	recount(): Record<Side, number> {
		const sides: Record<Side, number> = { funds: 0, available: 0, held: 0, charged: 0 }
		const archived = (['hold', 'capture', 'release', 'refund'] satisfies Kind[]).map(
			(kind) => `UNION ALL SELECT '${kind}', coalesce(sum(${kind}), 0) FROM archives`
		)
		const sums = this.#sql.exec<{ kind: Kind; amount: number }>(
			`SELECT kind, sum(amount) AS amount FROM ledger GROUP BY kind ${archived.join(' ')}`
		)
		for (const { kind, amount } of sums) {
			const [from, to] = moves[kind]
			sides[from] -= amount
			sides[to] += amount
		}
		return sides
	}

	#move(kind: Kind, amount: number, now: number, about: About): void {
		if (amount === 0) {
			return
		}
		const [from, to] = moves[kind]
		this.#sql.exec(`UPDATE tallies SET ${from} = ${from} - ?1, ${to} = ${to} + ?1 WHERE subject = ''`, amount)
		this.#enter(kind, amount, now, about)
	}

	/** Ids only grow: above all that there are, and were before they were archived. */
	#enter(kind: Kind, amount: number, now: number, { generation, picture, reference }: About): void {
		this.#sql.exec(
			`INSERT INTO ledger (id, at, kind, amount, generation, picture, reference)
			VALUES (1 + max((SELECT archived_entry FROM tallies WHERE subject = ''), (SELECT coalesce(max(id), 0) FROM ledger)), ?, ?, ?, ?, ?, ?)`,
			...[now, kind, amount, generation ?? null, picture ?? null, reference ?? null]
		)
	}
}
