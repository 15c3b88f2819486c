import type { ArchivedGeneration } from '../../shared/contract/archive.ts'
import type { Status } from '../../shared/contract/generation.ts'
import { timeOf } from '../../shared/ids.ts'
import { ProblemError } from '../errors.ts'
import type { ArchiveFile, StoredArchive } from '../storage/archive.ts'
import { type Sums, sumUp } from './archived.ts'
import { firstOf, type Page } from './page.ts'
import { Deliveries, listed } from './webhooks/deliveries.ts'

const day = 86_400_000
/** Milliseconds that a generation stays after its end at least: as long as it may have deliveries. */
const kept = listed
/** How many generations, and pictures, an archive has at most: lines of 2 MB. */
const mostGenerations = 1_000
const mostPictures = 4_000

/** An archive as it is remembered. Times are milliseconds. */
export interface ArchiveRow extends Sums, StoredArchive {
	first: string
	last: string
	at: number
}

/** The oldest generations, as they are to be archived: their lines, and what those come to. */
export interface Chunk {
	first: string
	last: string
	/** NDJSON. */
	text: string
	sums: Sums
	/** The ids of the ledger's entries, ascending. */
	entries: number[]
}

interface Row extends Record<string, SqlStorageValue> {
	id: string
	model: string
	key: string | null
	status: Status
	price: number
	count: number
	refunded: number
	created_at: number
	started_at: number | null
	completed_at: number | null
	ready: number
}

type Picture = { generation: string; captured_at: number } & Omit<ArchivedGeneration['pictures'][number], 'captured_at'>
type Entry = { generation: string; at: number } & Omit<ArchivedGeneration['entries'][number], 'at'>

/** Milliseconds: what was ordered and has ended by then may be archived. */
const cut = (now: number) => now - (now % day) - kept

/** What stands in the way of a generation `g`, and may do so for ever: in words, null where nothing does. */
const hindrance = `coalesce(
	iif(g.id >= (SELECT min(generation) FROM deliveries WHERE status = 'pending'), 'a webhook is still to be told', NULL),
	(
		SELECT 'meter event ' || batch || ' for ' || sink || ' is ' || state
		FROM (SELECT batch FROM metered WHERE generation = g.id UNION ALL SELECT id FROM batches WHERE refund = g.id)
		JOIN meter_events USING (batch) WHERE state <> 'sent' ORDER BY state LIMIT 1
	)
)`

/**
 * Nothing of it is needed any more: it is not due (its objects are gone, and its inputs released), there is no message to come about it, and no order that is sent
 * again (for a day) can mean it. `?1`: the cut.
 */
const isReady = `g.created_at <= ?1 AND completed_at <= ?1
	AND NOT EXISTS (SELECT 1 FROM due WHERE kind IN ('enqueue', 'lease', 'deadline', 'erase') AND subject = g.id)
	AND ${hindrance} IS NULL`

/**
 * The books of old generations are moved to R2, a range of the oldest at a time, and their words are forgotten: what an order leaves here for
 * good is its part of a row. What is not ready stops those after it, so whatever is older than the last archive's end and is not in the tables is
 * in an archive, or never was. Credits stay, so that a reference is booked once for ever. Methods are synchronous and run inside a transaction.
 */
export class Archives {
	readonly #sql: SqlStorage

	constructor(sql: SqlStorage) {
		this.#sql = sql
	}

	/** The oldest that are ready. What ended today counts from tomorrow on, so that one who comes again the same day finds the same. */
	ready(now: number): Chunk | undefined {
		const oldest = this.#sql
			.exec<Row>(
				`SELECT g.id, model, keys.id AS key, status, price, count, refunded, g.created_at, started_at, completed_at, ${isReady} AS ready
				FROM generations g LEFT JOIN keys ON hash = g.key ORDER BY g.id LIMIT ?2`,
				...[cut(now), mostGenerations]
			)
			.toArray()
		const rows: Row[] = []
		let pictures = 0
		for (const row of oldest) {
			pictures += row.count
			if (!row.ready || (pictures > mostPictures && rows.length > 0)) {
				break
			}
			rows.push(row)
		}
		const [first, last] = [rows[0]?.id, rows.at(-1)?.id]
		if (first === undefined || last === undefined) {
			return undefined
		}
		const held = rows.filter(({ price, count }) => price * count > 0).length
		const entries = this.#entries(first, last, held)
		const lines = linesOf(rows, this.#pictures(first, last), entries)
		const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
		return { first, last, text, sums: sumUp(lines), entries: entries.map(({ id }) => id) }
	}

	/** Remembers what is in R2 in the place of the rows, unless those have changed since `chunk` was made of them, at `now`. */
	keep(chunk: Chunk, { size, sha256 }: StoredArchive, now: number): void {
		const { first, last, text, sums, entries } = chunk
		if (this.ready(now)?.text !== text) {
			return
		}
		const { generations, pictures, hold, capture, release, refund } = sums
		this.#sql.exec(
			`INSERT INTO archives (last, first, at, generations, pictures, entries, hold, capture, release, refund, size, sha256)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			...[last, first, now, generations, pictures, entries.length, hold, capture, release, refund, size, sha256]
		)
		this.#note(first, last)
		this.#sql.exec("UPDATE tallies SET archived_entry = max(archived_entry, ?) WHERE subject = ''", entries.at(-1) ?? 0)
		this.#sql.exec('DELETE FROM ledger WHERE id IN (SELECT value FROM json_each(?))', JSON.stringify(entries))
		this.#sql.exec('DELETE FROM pictures WHERE generation BETWEEN ? AND ?', first, last)
		this.#sql.exec('DELETE FROM generations WHERE id BETWEEN ? AND ?', first, last)
		new Deliveries(this.#sql).forgetOld(now)
	}

	/** When to look again, in milliseconds: the oldest will be ready by then, unless something holds it up. Undefined where there is none. */
	again(now: number): number | undefined {
		const oldest = this.#sql
			.exec<{ completed_at: number | null }>('SELECT completed_at FROM generations ORDER BY id LIMIT 1')
			.toArray()[0]
		// At most so far ahead, for the clock may have been set back.
		return oldest && Math.min(Math.max(now, (oldest.completed_at ?? now) + kept), now + kept) + day
	}

	/** Which is the oldest, and what it waits for, where it would be archived by now otherwise. That its pictures are kept is as it should be. */
	hindrance(now: number): string | null {
		const oldest = `SELECT * FROM generations ORDER BY id LIMIT 1`
		const failed = `SELECT 'its archive failed ' || tries || ' times in a row; the log has the reason' FROM due WHERE kind = 'archive' AND tries > 0`
		const [held] = this.#sql
			.exec<{ id: string; hindrance: string | null }>(
				`SELECT g.id, coalesce(${hindrance}, (${failed})) AS hindrance FROM (${oldest}) g WHERE created_at <= ?1 AND completed_at <= ?1
				AND NOT EXISTS (SELECT 1 FROM due WHERE kind = 'erase' AND subject = g.id)`,
				cut(now)
			)
			.toArray()
		return held?.hindrance ? `${held.id}: ${held.hindrance}` : null
	}

	/** When the last archived generation was ordered (ISO 8601); those ordered before are archived as well. Undefined where none is. */
	get until(): string | undefined {
		const last = this.#last()
		return last === null ? undefined : new Date(timeOf(last)).toISOString()
	}

	/** Throws where a generation that is not in the tables may have been archived: which ids there were, only the archives know. */
	expectKept(id: string): void {
		const last = this.#last()
		if (last !== null && id <= last) {
			const detail = `This account's generations until ${this.until} are archived; if ${id} was one of them, its books are in GET /v1/archives, and nothing else is kept of it.`
			throw new ProblemError({ code: 'archived', detail })
		}
	}

	/** The one that begins with this generation: the next to end, unless the clock was set back, and an archive lies within the range of another. */
	find(first: string): ArchiveRow | undefined {
		const query = 'SELECT * FROM archives WHERE last >= ?1 AND first = ?1 ORDER BY last LIMIT 1'
		return this.#sql.exec<ArchiveRow & Record<string, SqlStorageValue>>(query, first).toArray()[0]
	}

	/** Whether a file in R2 is one that is remembered, or that a try has left which comes again: what it begins with is still here. */
	expects({ first, sha256 }: ArchiveFile): boolean {
		const isHere = () => this.#sql.exec('SELECT 1 FROM generations WHERE id = ?', first).toArray().length > 0
		return this.find(first)?.sha256 === sha256 || isHere()
	}

	/** Newest first; those older than the one that ends with the generation `cursor`, where there is one. */
	list(cursor: string | undefined, limit: number): Page<ArchiveRow> {
		const rows = this.#sql.exec<ArchiveRow & Record<string, SqlStorageValue>>(
			'SELECT * FROM archives WHERE last < ? ORDER BY last DESC LIMIT ?',
			...[cursor ?? '~', limit + 1]
		)
		return firstOf<ArchiveRow, string>(rows.toArray(), limit, ({ last }) => last)
	}

	#last(): string | null {
		return this.#sql.exec<{ last: string | null }>('SELECT max(last) AS last FROM archives').one().last
	}

	/** Usage, and meter events that have not all of their pictures archived, go on counting those. The others are done with. */
	#note(first: string, last: string): void {
		this.#sql.exec(
			`UPDATE usage SET archived_pictures = archived_pictures + counted.pictures, archived_amount = archived_amount + counted.amount
			FROM (
				SELECT date(captured_at / 1000, 'unixepoch') AS day, g.key, model, count(*) AS pictures, sum(price) AS amount
				FROM pictures JOIN generations g ON id = generation WHERE id BETWEEN ? AND ? GROUP BY 1, 2, 3
			) counted
			WHERE usage.day = counted.day AND usage.key = counted.key AND usage.model = counted.model`,
			...[first, last]
		)
		const counted = 'SELECT batch, count(*) AS n FROM metered WHERE generation BETWEEN ? AND ? GROUP BY batch'
		const batches = this.#sql.exec<{ batch: string }>(counted, first, last).toArray()
		this.#sql.exec(
			`UPDATE batches SET archived = archived + n FROM (${counted}) counted WHERE id = counted.batch`,
			...[first, last]
		)
		this.#sql.exec('DELETE FROM metered WHERE generation BETWEEN ? AND ?', first, last)
		const done = `SELECT id FROM batches WHERE id IN (SELECT value FROM json_each(?)) AND pictures = archived
			UNION ALL SELECT id FROM batches WHERE refund BETWEEN ? AND ?`
		const values = [JSON.stringify(batches.map(({ batch }) => batch)), first, last]
		this.#sql.exec(`DELETE FROM meter_events WHERE batch IN (${done})`, ...values)
		this.#sql.exec(`DELETE FROM batches WHERE id IN (${done})`, ...values)
	}

	#pictures(first: string, last: string): Picture[] {
		return this.#sql
			.exec<Picture & Record<string, SqlStorageValue>>(
				`SELECT p.generation, p.n, key, size, etag, captured_at, batch FROM pictures p LEFT JOIN metered USING (generation, n)
				WHERE p.generation BETWEEN ? AND ? ORDER BY p.generation, p.n`,
				...[first, last]
			)
			.toArray()
	}

	/** `held`: how many holds there are. The oldest entries are those of the oldest orders, so that they are soon found without an index, which each order would write. */
	#entries(first: string, last: string, held: number): Entry[] {
		const of = (kinds: string) =>
			`SELECT id, at, amount, picture, kind, generation FROM ledger WHERE ${kinds} AND generation BETWEEN ?1 AND ?2`
		return this.#sql
			.exec<Entry & Record<string, SqlStorageValue>>(
				`SELECT * FROM (${of("kind = 'hold'")} ORDER BY id LIMIT ?3)
				UNION ALL ${of("kind = 'capture'")} UNION ALL ${of("kind IN ('release', 'refund')")} ORDER BY 1`,
				...[first, last, held]
			)
			.toArray()
	}
}

function linesOf(rows: Row[], pictures: Picture[], entries: Entry[]): ArchivedGeneration[] {
	const picturesOf = Map.groupBy(pictures, ({ generation }) => generation)
	const entriesOf = Map.groupBy(entries, ({ generation }) => generation)
	return rows.map(({ ready: _, created_at, started_at, completed_at, ...row }) => ({
		...row,
		created_at: time(created_at),
		started_at: started_at === null ? null : time(started_at),
		completed_at: time(completed_at as number),
		pictures: (picturesOf.get(row.id) ?? []).map(({ generation: _, captured_at, ...picture }) => ({
			...picture,
			captured_at: time(captured_at)
		})),
		entries: (entriesOf.get(row.id) ?? []).map(({ generation: _, at, ...entry }) => ({ ...entry, at: time(at) }))
	}))
}

const time = (ms: number): string => new Date(ms).toISOString()
