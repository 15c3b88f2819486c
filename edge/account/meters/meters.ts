import type { MeterEvent, SinkName } from '../../../shared/contract/meters.ts'
import { newId } from '../../../shared/ids.ts'
import type { Outcome, Reading } from '../../courier/meters.ts'
import { ProblemError } from '../../errors.ts'
import type { Due } from '../due.ts'
import type { Happening } from '../happenings.ts'
import { firstOf, mostLooked, type Page } from '../page.ts'
import { mostRows } from '../usage.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
/** Milliseconds for which a batch whose outcome is unknown may be sent again: Stripe knows its identifier for 24 hours at least. */
const remembered = 23 * hour
const longestBackoff = hour
/** Of the batches that a sink has refused, how many of the oldest are tried again, each after a pause of its own. The others follow when those are through. */
const mostRefused = 10
/** Milliseconds after which Stripe takes no event any more (docs.stripe.com/api/billing/meter-event/create), and nobody waits for a sink that refuses it or is not configured. */
const oldest = 35 * day

type Picture = Extract<Happening, { type: 'image' }>

interface Row extends Record<string, SqlStorageValue> {
	batch: string
	sink: SinkName
	state: MeterEvent['state']
	due_at: number
	tries: number
	unknown_since: number | null
	sent_at: number | null
	error: string | null
	minute: number
	model: string
	price: number
	pictures: number
	refund: string | null
}

interface Surroundings {
	sql: SqlStorage
	due: Due
	/** The sinks that are configured, and whom each knows this account as. */
	sinks(): Partial<Record<SinkName, string>>
	send(sink: SinkName, reading: Reading): Promise<Outcome>
	defer(work: Promise<void>): void
	decide(work: () => void): void
}

/**
 * Tells others how many pictures were charged. Pictures of one model and price make one batch a minute; a batch goes to each sink under its own
 * id, at least once and always under that one. There is one call to a sink at a time, for the oldest batch, or the next while that waits because it was
 * refused. While one is in doubt the others are not tried, so only one can be, and is parked when a repetition might be counted twice, or would be refused
 * for its age. What a sink refuses, or is for one that is not configured any more, waits as long as Stripe would take it, and is parked then. Methods run inside a transaction.
 */
export class Meters {
	readonly #at: Surroundings
	readonly #busy = new Set<SinkName>()

	constructor(surroundings: Surroundings) {
		this.#at = surroundings
	}

	observe({ id, n, at, model, price }: Picture): void {
		const sinks = Object.keys(this.#at.sinks()).sort() as SinkName[]
		if (sinks.length === 0) {
			return
		}
		const batch = this.#open(at, model, price, sinks) ?? this.#begin(at, model, price, sinks)
		this.#at.sql.exec('UPDATE batches SET pictures = pictures + 1 WHERE id = ?', batch)
		this.#at.sql.exec('INSERT INTO metered (batch, generation, n) VALUES (?, ?, ?)', batch, id, n)
	}

	/**
	 * The pictures of a generation that was refunded are counted a second time, below zero, which Stripe names as a way to correct usage
	 * (docs.stripe.com/billing/subscriptions/usage-based/meters/configure). Its other way, an adjustment that cancels an event, is none for refunds: it takes
	 * an event back whole, and a batch has a minute's pictures of many generations; only for 24 hours; it is answered before it is done; and other
	 * sinks have nothing like it. What a refund takes back counts in the period of the refund, for invoices are not changed any more, and Stripe bills a
	 * period that ends below zero as nothing.
	 */
	takeBack(generation: string, now: number): void {
		const counted = this.#at.sql.exec<{ model: string; price: number; n: number; sinks: string }>(
			`SELECT model, price, count(*) AS n, (SELECT json_group_array(sink ORDER BY sink) FROM meter_events WHERE batch = id) AS sinks
			FROM metered JOIN batches ON batch = id WHERE generation = ? GROUP BY model, price, sinks`,
			generation
		)
		for (const { model, price, n, sinks } of counted.toArray()) {
			const batch = this.#begin(now, model, price, JSON.parse(sinks))
			this.#at.sql.exec('UPDATE batches SET pictures = ?, refund = ? WHERE id = ?', -n, generation, batch)
		}
	}

	run(sink: SinkName, now: number): void {
		const head = this.#head(sink)
		if (head && head.due_at <= now && !this.#busy.has(sink)) {
			this.#take(head, now)
		}
		this.#schedule(sink, now)
	}

	/** Newest first; those after the event `cursor`, where there is one: its batch and its sink. A page ends early where its events count very many pictures. */
	list(state: MeterEvent['state'] | undefined, cursor: string | undefined, limit: number): Page<MeterEvent> {
		const { sql } = this.#at
		const [batch = '', sink = ''] = cursor?.split('.') ?? ['~']
		const range = 'SELECT * FROM meter_events WHERE (batch, sink) < (?, ?) ORDER BY batch DESC, sink DESC'
		const rows = sql
			.exec<Row>(
				`SELECT * FROM (${range} LIMIT ${mostLooked}) JOIN batches ON batch = id WHERE state = coalesce(?, state)
				ORDER BY batch DESC, sink DESC LIMIT ?`,
				...[batch, sink, state ?? null, limit + 1]
			)
			.toArray()
		const { items, next } = firstOf(rows, Math.min(limit, fitting(rows)), cursorOf)
		const looked = sql.exec<Row>(`${range} LIMIT 1 OFFSET ${mostLooked - 1}`, batch, sink).toArray()[0]
		return { items: items.map((row) => this.#event(row)), next: next ?? (looked ? cursorOf(looked) : null) }
	}

	/** What a person found out about a parked batch: it was counted, or it was not and is sent again. */
	resolve(sink: SinkName, batch: string, found: 'sent' | 'lost', now: number): MeterEvent {
		const row = this.#rows('WHERE sink = ? AND batch = ? AND state = ?', sink, batch, 'parked')[0]
		if (!row) {
			throw new ProblemError({ code: 'not-found', detail: `No batch ${batch} is parked for ${sink}.` })
		}
		this.#set(
			row,
			found === 'sent' ? { state: 'sent', sent_at: now } : { state: 'pending', due_at: now, tries: 0, unknown_since: null }
		)
		this.#schedule(sink, now)
		return this.#event(this.#rows('WHERE sink = ? AND batch = ?', sink, batch)[0] as Row)
	}

	/** The same of all that are parked for a sink. Answers how many they were. */
	resolveAll(sink: SinkName, found: 'sent' | 'lost', now: number): number {
		const fields =
			found === 'sent' ? "state = 'sent', sent_at = ?1" : "state = 'pending', due_at = ?1, tries = 0, unknown_since = NULL"
		const query = `UPDATE meter_events SET ${fields} WHERE sink = ?2 AND state = 'parked' RETURNING 1`
		const resolved = this.#at.sql.exec(query, now, sink).toArray().length
		this.#schedule(sink, now)
		return resolved
	}

	/** The minute's batch for just these sinks, unless it has left already. */
	#open(at: number, model: string, price: number, sinks: SinkName[]): string | undefined {
		const rows = this.#at.sql.exec<{ id: string }>(
			`SELECT id FROM batches WHERE minute = ? AND model = ? AND price = ? AND refund IS NULL
			AND NOT EXISTS (SELECT 1 FROM meter_events WHERE batch = id AND tries > 0)
			AND (SELECT group_concat(sink ORDER BY sink) FROM meter_events WHERE batch = id) = ?`,
			...[minuteOf(at), model, price, sinks.join()]
		)
		return rows.toArray()[0]?.id
	}

	#begin(at: number, model: string, price: number, sinks: SinkName[]): string {
		const id = newId('mtr', at)
		const due = minuteOf(at) + minute
		this.#at.sql.exec(
			'INSERT INTO batches (id, minute, model, price, pictures) VALUES (?, ?, ?, ?, 0)',
			id,
			minuteOf(at),
			model,
			price
		)
		for (const sink of sinks) {
			this.#at.sql.exec("INSERT INTO meter_events (batch, sink, state, due_at) VALUES (?, ?, 'pending', ?)", id, sink, due)
			this.#schedule(sink, at)
		}
		return id
	}

	#take(head: Row, now: number): void {
		const { sink, minute, tries, unknown_since, error } = head
		const customer = this.#at.sinks()[sink]
		const isInDoubt = unknown_since !== null && now - unknown_since >= remembered
		const isRefused = tries > 0 && unknown_since === null
		const isTooOld = now - minute >= oldest && (sink === 'stripe' || !customer || isRefused)
		if (isInDoubt || isTooOld) {
			this.#set(head, { state: 'parked', error: error ?? (customer ? null : `${sink} is not configured for this account.`) })
		} else if (customer) {
			// In doubt from before it leaves: should we crash now, nobody knows whether it arrived.
			this.#set(head, { tries: tries + 1, unknown_since: unknown_since ?? now })
			this.#busy.add(sink)
			this.#at.defer(this.#tell(head, customer, now))
		}
	}

	async #tell(row: Row, customer: string, now: number): Promise<void> {
		const { batch: id, model, price, pictures, sink } = row
		const reading = { id, customer, model, price, pictures, at: row.minute }
		const { outcome, text } = await this.#at
			.send(sink, reading)
			.catch((error): Outcome => ({ outcome: 'unknown', text: String(error) }))
		this.#at.decide(() => {
			this.#busy.delete(sink)
			if (outcome === 'accepted') {
				this.#set(row, { state: 'sent', sent_at: now, error: null })
			} else {
				const pause = Math.min(longestBackoff, 1_000 * 2 ** Math.min(row.tries, 12)) * (0.75 + Math.random() / 4)
				const inDoubt = outcome === 'unknown' ? (row.unknown_since ?? now) : row.unknown_since
				this.#set(row, { due_at: Math.round(now + pause), unknown_since: inDoubt, error: text.slice(0, 300) })
				if (inDoubt === null && row.tries === 0) {
					this.#spare(row, now)
				}
			}
			this.#schedule(sink, now)
		})
	}

	/** What is tried next: what is in doubt; or whatever is due first of the oldest that were refused, and the oldest that was not tried yet. */
	#head(sink: SinkName): Row | undefined {
		const refused = this.#rows("WHERE sink = ? AND state = 'pending' ORDER BY batch LIMIT ?", sink, mostRefused).filter(
			({ tries }) => tries > 0
		)
		return [...refused, ...this.#fresh(sink)].sort(
			(a, b) => Number(b.unknown_since !== null) - Number(a.unknown_since !== null) || a.due_at - b.due_at
		)[0]
	}

	/** The one in doubt, or the oldest that was not tried yet, where there is one. */
	#fresh(sink: SinkName): Row[] {
		const isFresh = '(tries = 0 OR unknown_since IS NOT NULL)'
		return this.#rows(`WHERE sink = ? AND state = 'pending' AND ${isFresh} ORDER BY batch LIMIT 1`, sink)
	}

	/** A sink that has refused several in a row may refuse all: it is asked for the next one later, twice as late after each, and not for each of thousands at once. */
	#spare({ sink, batch }: Row, now: number): void {
		const before = this.#rows('WHERE sink = ? AND batch <= ? ORDER BY batch DESC LIMIT 12', sink, batch)
		const told = before.findIndex(({ state }) => state === 'sent')
		const inARow = told === -1 ? before.length : told
		for (const next of this.#fresh(sink)) {
			this.#set(next, { due_at: Math.max(next.due_at, now + Math.min(longestBackoff, 1_000 * 2 ** inARow)) })
		}
	}

	#schedule(sink: SinkName, now: number): void {
		const head = this.#head(sink)
		if (!head) {
			this.#at.due.remove('meter', sink)
		} else if (!this.#busy.has(sink)) {
			// A sink that is not configured may be so again, which is looked for once a day.
			const again = this.#at.sinks()[sink] ? 0 : Math.min(now + day, head.minute + oldest)
			this.#at.due.put('meter', sink, Math.max(head.due_at, again))
		}
	}

	#rows(rest: string, ...values: SqlStorageValue[]): Row[] {
		return this.#at.sql.exec<Row>(`SELECT * FROM meter_events JOIN batches ON batch = id ${rest}`, ...values).toArray()
	}

	#set({ batch, sink }: Row, fields: Partial<Row>): void {
		const names = Object.keys(fields).map((name) => `${name} = ?`)
		const values = Object.values(fields) as SqlStorageValue[]
		this.#at.sql.exec(`UPDATE meter_events SET ${names.join(', ')} WHERE batch = ? AND sink = ?`, ...values, batch, sink)
	}

	#event({ batch, sink, state, minute, model, price, pictures: value, refund, tries, error, sent_at }: Row): MeterEvent {
		const pictures = this.#at.sql
			.exec<{ generation: string; n: number }>(
				`SELECT generation, n FROM metered WHERE ${refund === null ? 'batch' : 'generation'} = ? ORDER BY generation, n`,
				refund ?? batch
			)
			.toArray()
		const time = (ms: number) => new Date(ms).toISOString()
		const sent = sent_at === null ? null : time(sent_at)
		return { id: batch, sink, state, minute: time(minute), model, price, value, pictures, tries, error, sent_at: sent }
	}
}

/** How many of the first, one at least, are told of at once with all their pictures. */
function fitting(rows: Row[]): number {
	let told = 0
	const over = rows.findIndex(({ pictures }) => {
		told += Math.abs(pictures)
		return told > mostRows
	})
	return over === -1 ? rows.length : Math.max(over, 1)
}

const cursorOf = ({ batch, sink }: Row) => `${batch}.${sink}`

const minuteOf = (at: number) => at - (at % minute)
