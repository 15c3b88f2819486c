import type { Priority } from '../../shared/contract/terms.ts'
import { lastNormal } from '../../shared/queue.ts'
import { longest } from '../dispatcher/line.ts'
import type { Due } from './due.ts'
import type { Row } from './rows.ts'

/**
 * Pictures of one account and model that the queue sees at once. The rest wait here, where they are in nobody's way. Work of low priority takes no room
 * from normal work, which would wait behind it.
 */
const windowSize = 32
/** Milliseconds without a start after which the oldest of its model and priority goes to the front, whoever else comes. */
const patience = 5 * 60_000

/** Pictures that the queue sees. */
type Shown = Record<Priority, number>

/**
 * The order in which an account's work reaches the queue. The queue takes the lowest place first and, of one place, the first to come; a
 * place is one more than the pictures that the account had there already, but for those of a lower priority, so accounts take turns, and who has nothing
 * queued is next.
 */
export class Lineup {
	readonly #sql: SqlStorage
	readonly #due: Due

	constructor(sql: SqlStorage, due: Due) {
		this.#sql = sql
		this.#due = due
	}

	/** The place of one that is about to be queued; null when it has to wait for room. */
	place(model: string, priority: Priority, now: number): number | null {
		const shown = this.#shown(model)
		if (shown[priority] === 0 && !this.#waits(model, priority)) {
			this.#move(model, priority, now)
		}
		return placeAfter(shown, priority)
	}

	/** How many go into the queue before this one, as far as anybody is told; null where it is there. Whoever waits asks again and again. */
	before({ id, model, priority, place }: Pick<Row, 'id' | 'model' | 'priority' | 'place'>): number | null {
		if (place !== null) {
			return null
		}
		return this.#sql
			.exec<{ ahead: number }>(
				`SELECT count(*) AS ahead FROM (
					SELECT 1 FROM generations WHERE status = 'queued' AND model = ? AND place IS NULL
					AND (priority > ? OR priority = ? AND id < ?) LIMIT ?
				)`,
				...[model, priority, priority, id, longest]
			)
			.one().ahead
	}

	/** One was started. */
	started({ model, priority }: Pick<Row, 'model' | 'priority'>, now: number): void {
		this.#move(model, priority, now)
		this.advance(model, now)
	}

	/** Lets those in for which there is room, now that one has left. */
	advance(model: string, now: number): void {
		for (const shown = this.#shown(model); ; ) {
			const next = this.#sql
				.exec<{ id: string; count: number; priority: Priority }>(
					`SELECT id, count, priority FROM generations WHERE status = 'queued' AND model = ? AND place IS NULL
					ORDER BY priority DESC, id LIMIT 1`,
					model
				)
				.toArray()[0]
			const place = next ? placeAfter(shown, next.priority) : null
			if (!next || place === null) {
				return
			}
			this.#sql.exec('UPDATE generations SET place = ? WHERE id = ?', place, next.id)
			this.#due.put('enqueue', next.id, now)
			shown[next.priority] += next.count
		}
	}

	/** Moves the oldest of every line that has stood still for too long to the front, or that has moved at a time to come: the clock was set back since. */
	raise(now: number): Set<string> {
		const raised = new Set<string>()
		const still = this.#sql
			.exec<{ model: string; priority: Priority }>(
				'SELECT model, priority FROM lines WHERE moved_at <= ? OR moved_at > ?',
				...[now - patience, now]
			)
			.toArray()
		for (const { model, priority } of still) {
			this.#move(model, priority, now)
			const oldest = this.#sql
				.exec<{ id: string }>(
					"SELECT id FROM generations WHERE status = 'queued' AND model = ? AND priority = ? AND place IS NOT 1 ORDER BY place IS NULL, id LIMIT 1",
					...[model, priority]
				)
				.toArray()[0]
			if (oldest) {
				this.#sql.exec('UPDATE generations SET place = 1 WHERE id = ?', oldest.id)
				this.#due.putOnce('enqueue', oldest.id, now)
				raised.add(oldest.id)
			}
		}
		return raised
	}

	#shown(model: string): Shown {
		const sum = (priority: Priority) => `coalesce(sum(count) FILTER (WHERE priority = '${priority}'), 0) AS ${priority}`
		return this.#sql
			.exec<Shown>(
				`SELECT ${sum('low')}, ${sum('normal')} FROM generations WHERE status = 'queued' AND model = ? AND place IS NOT NULL`,
				model
			)
			.one()
	}

	/** Whether work waits for room. */
	#waits(model: string, priority: Priority): boolean {
		const query = "SELECT 1 FROM generations WHERE status = 'queued' AND model = ? AND place IS NULL AND priority = ? LIMIT 1"
		return this.#sql.exec(query, model, priority).toArray().length > 0
	}

	#move(model: string, priority: Priority, now: number): void {
		this.#sql.exec('INSERT OR REPLACE INTO lines (model, priority, moved_at) VALUES (?, ?, ?)', model, priority, now)
	}
}

/** Null where there is no room. */
function placeAfter({ low, normal }: Shown, priority: Priority): number | null {
	const shown = priority === 'low' ? normal + low : normal
	return shown < windowSize ? 1 + shown + (priority === 'low' ? lastNormal : 0) : null
}
