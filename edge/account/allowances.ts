import type { Limits } from '../../shared/contract/account.ts'
import { ProblemError } from '../errors.ts'
import type { Quota } from '../quotas.ts'
import type { Plans } from './plans.ts'
import { dayOf, type UsageCounts } from './usage.ts'

const minute = 60_000

interface Row extends Record<string, SqlStorageValue> {
	arrival: number
	in_flight: number
	held: number
}

/**
 * How far the account, and each of its keys, have used up their limits. A refused order throws within the transaction that would have
 * counted it, so it is never counted. The account's own subject is the empty one.
 */
export class Allowances {
	readonly #sql: SqlStorage
	readonly #plans: Plans
	readonly #usage: UsageCounts

	constructor(sql: SqlStorage, plans: Plans, usage: UsageCounts) {
		this.#sql = sql
		this.#plans = plans
		this.#usage = usage
	}

	get inFlight(): number {
		return this.#read('').in_flight
	}

	/**
	 * Lets an order of `pictures` for `amount` micro-units in, by a key with its own `limits`, or throws a 429. Answers how limits of requests
	 * stand after it.
	 */
	admit(key: string, limits: Partial<Limits>, pictures: number, amount: number, now: number): Quota[] {
		const quotas = [
			...this.#arrive('account', '', this.#plans.limits, pictures, amount, now),
			...this.#arrive('key', key, limits, pictures, amount, now)
		]
		const refused = quotas.filter(({ remaining }) => remaining < 0)
		if (refused.length > 0) {
			const retryAfter = Math.max(...refused.map(({ reset }) => reset))
			const names = refused.map(({ name }) => name)
			throw new ProblemError({
				code: 'rate-limited',
				detail: `Expected at most ${refused[0]?.quota} orders a minute.`,
				'violated-policies': names,
				quotas: quotas.map((quota) => ({ ...quota, remaining: Math.max(0, quota.remaining) })),
				retryAfter
			})
		}
		return quotas
	}

	/** What an order that was let in uses. */
	begin(key: string, pictures: number, amount: number): void {
		this.#sql.exec(
			`INSERT INTO allowances (subject, in_flight, held) VALUES ('', ?1, ?2), (?3, ?1, ?2)
			ON CONFLICT DO UPDATE SET in_flight = in_flight + excluded.in_flight, held = held + excluded.held`,
			pictures,
			amount,
			key
		)
	}

	/** A picture was charged: what was held for it is usage now. */
	charge(key: string, amount: number): void {
		this.#release(key, 0, amount)
	}

	/** `left`: what is still held, and released. */
	end(key: string, pictures: number, left: number): void {
		this.#release(key, pictures, left)
	}

	#arrive(
		name: string,
		subject: string,
		{ requests_per_minute: quota, pictures_in_flight: most, spend_per_day, spend_per_month }: Partial<Limits>,
		pictures: number,
		amount: number,
		now: number
	): Quota[] {
		const { arrival, in_flight, held } = this.#read(subject)
		if (most && in_flight + pictures > most) {
			throw new ProblemError({
				code: 'too-many-in-flight',
				detail: `Expected at most ${most} pictures in flight, got ${in_flight} and ${pictures} more.`,
				'violated-policies': [`${name}-in-flight`],
				retryAfter: 5
			})
		}
		const day = dayOf(now)
		const key = subject || undefined
		const spent = (limit: number | null | undefined, since: string) =>
			limit && this.#usage.spent(since, key) + held + amount > limit
		if (spent(spend_per_day, day) || spent(spend_per_month, `${day.slice(0, 7)}-01`)) {
			const again = spent(spend_per_month, `${day.slice(0, 7)}-01`) ? nextMonth(now) : nextDay(now)
			throw new ProblemError({
				code: 'spend-limit',
				detail: `It may cost ${amount} micro-units, which is more than is left of the limit until ${new Date(again).toISOString()}.`,
				'violated-policies': [`${name}-spend`],
				retryAfter: Math.ceil((again - now) / 1_000)
			})
		}
		return quota ? [this.#pace(name, subject, quota, arrival, now)] : []
	}

	/**
	 * The generic cell rate algorithm (ITU-T I.371): orders arrive a minute / quota apart, or up to a whole minute's worth of them early.
	 * One that is too early has less than nothing remaining.
	 */
	#pace(name: string, subject: string, quota: number, arrival: number, now: number): Quota {
		const next = Math.max(arrival, now) + minute / quota
		const ahead = next - now
		// The tolerance is for what a float leaves of a minute that was added up of `quota` parts.
		const isEarly = ahead > minute + 0.001
		if (!isEarly) {
			this.#sql.exec(
				'INSERT INTO allowances (subject, arrival) VALUES (?, ?) ON CONFLICT DO UPDATE SET arrival = excluded.arrival',
				subject,
				next
			)
		}
		return {
			name,
			quota,
			window: 60,
			remaining: isEarly ? -1 : Math.floor(((minute - ahead) * quota) / minute + 0.001),
			reset: Math.ceil((isEarly ? ahead - minute : ahead) / 1_000)
		}
	}

	#read(subject: string): Row {
		const row = this.#sql.exec<Row>('SELECT arrival, in_flight, held FROM allowances WHERE subject = ?', subject).toArray()[0]
		return row ?? { arrival: 0, in_flight: 0, held: 0 }
	}

	#release(key: string, pictures: number, amount: number): void {
		this.#sql.exec(
			"UPDATE allowances SET in_flight = in_flight - ?, held = held - ? WHERE subject IN ('', ?)",
			pictures,
			amount,
			key
		)
	}
}

const nextDay = (now: number) => Date.parse(`${dayOf(now)}T00:00:00Z`) + 86_400_000

function nextMonth(now: number): number {
	const date = new Date(now)
	return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}
