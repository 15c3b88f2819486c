import type { Priority } from '../../shared/contract/terms.ts'
import { longest } from '../dispatcher/line.ts'
import type { Due } from './due.ts'
import type { Row } from './rows.ts'

/** Pictures of one account and model that the queue sees at once. The rest wait here, where they are in nobody's way. */
const windowSize = 32
/** What work of low priority is behind everyone's normal work by. */
const behind = 64
/** Milliseconds without a start after which the oldest in line goes to the front, whoever else comes. */
const patience = 5 * 60_000

/**
 * The order in which an account's work reaches the queue. The queue takes the lowest place first and, of one place, the first to come; a
 * place is one more than the pictures that the account had there already, so accounts take turns, and who has nothing queued is next.
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
		if (shown === 0) {
			this.#move(model, now)
		}
		return shown < windowSize ? placeAfter(shown, priority) : null
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
	started(model: string, now: number): void {
		this.#move(model, now)
		this.advance(model, now)
	}

	/** Lets those in for which there is room, now that one has left. */
	advance(model: string, now: number): void {
		for (let shown = this.#shown(model); shown < windowSize; ) {
			const next = this.#sql
				.exec<{ id: string; count: number; priority: Priority }>(
					`SELECT id, count, priority FROM generations WHERE status = 'queued' AND model = ? AND place IS NULL
					ORDER BY priority DESC, id LIMIT 1`,
					model
				)
				.toArray()[0]
			if (!next) {
				return
			}
			this.#sql.exec('UPDATE generations SET place = ? WHERE id = ?', placeAfter(shown, next.priority), next.id)
			this.#due.put('enqueue', next.id, now)
			shown += next.count
		}
	}

	/** Moves the oldest of every line that has stood still for too long to the front. */
	raise(now: number): Set<string> {
		const raised = new Set<string>()
		const still = this.#sql.exec<{ model: string }>('SELECT model FROM lines WHERE moved_at <= ?', now - patience).toArray()
		for (const { model } of still) {
			this.#move(model, now)
			const oldest = this.#sql
				.exec<{ id: string }>(
					"SELECT id FROM generations WHERE status = 'queued' AND model = ? AND place > 1 ORDER BY id LIMIT 1",
					model
				)
				.toArray()[0]
			if (oldest) {
				this.#sql.exec('UPDATE generations SET place = 1 WHERE id = ?', oldest.id)
				raised.add(oldest.id)
			}
		}
		return raised
	}

	#shown(model: string): number {
		return this.#sql
			.exec<{ shown: number }>(
				"SELECT coalesce(sum(count), 0) AS shown FROM generations WHERE status = 'queued' AND model = ? AND place IS NOT NULL",
				model
			)
			.one().shown
	}

	#move(model: string, now: number): void {
		this.#sql.exec('INSERT OR REPLACE INTO lines (model, moved_at) VALUES (?, ?)', model, now)
	}
}

const placeAfter = (shown: number, priority: Priority) => 1 + shown + (priority === 'low' ? behind : 0)
