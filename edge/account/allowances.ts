import type { Limits } from '../../shared/contract/account.ts'
import { inUnits } from '../../shared/pricing.ts'
import { ProblemError } from '../errors.ts'
import type { Quota } from '../quotas.ts'
import type { Plans } from './plans.ts'
import { dayOf, type UsageCounts } from './usage.ts'

const minute = 60_000
const day = 24 * 60 * minute
/** Seconds: how long a picture in flight takes is not known, so this is a guess. */
const soon = 5

/** Of an order. */
interface Size {
	pictures: number
	/** Micro-units. */
	amount: number
}

/** One limit before an order: what is left of it, and what the order takes. */
interface Stand extends Omit<Quota, 'remaining' | 'reset'> {
	code: 'rate-limited' | 'too-many-in-flight' | 'spend-limit'
	subject: string
	left: number
	takes: number
	/** Seconds until there is room for a refused order; until all is there again. */
	again?: number
	full?: number
	/** GCRA's theoretical arrival time, should the order be let in. */
	arrival?: number
	detail: string
}

interface Row extends Record<string, SqlStorageValue> {
	subject: string
	arrival: number
	in_flight: number
	held: number
}

/**
 * How far the account, and each of its keys, have used up their limits. A refused order throws within the transaction that would have
 * counted it, so it is never counted. The account's own subject is the empty one; what is held for it, the ledger writes. A key's is its
 * lineage: rotating it is no way round its limits.
 */
export class Allowances {
	readonly #sql: SqlStorage
	readonly #plans: Plans
	readonly #usage: UsageCounts
	/** By the hashes of keys: an order asks twice, and no key ever changes it. */
	readonly #lineages = new Map<string, string>()

	constructor(sql: SqlStorage, plans: Plans, usage: UsageCounts) {
		this.#sql = sql
		this.#plans = plans
		this.#usage = usage
	}

	get inFlight(): number {
		return this.#read('')[0].in_flight
	}

	/** Lets an order in, by a key with its own `limits`, or throws a 429. Answers how all limits stand after it. */
	admit(key: string, limits: Partial<Limits>, order: Size, now: number): Quota[] {
		const [account, own] = this.#read(key)
		return this.#count([
			...this.#stands('account', account, this.#plans.limits, order, now),
			...this.#stands('key', own, limits, order, now)
		])
	}

	/** The same for what is no order and costs nothing: of each such thing there may be as many in a minute as orders, beside them. */
	pass(thing: 'inputs' | 'messages', key: string, limits: Partial<Limits>, now: number): Quota[] {
		const [account, own] = this.#read(key, `/${thing}`)
		return this.#count([
			...paces(`account-${thing}`, account, this.#plans.limits, now, thing),
			...paces(`key-${thing}`, own, limits, now, thing)
		])
	}

	#count(stands: Stand[]): Quota[] {
		const refused = stands.filter(({ left, takes }) => takes > left)
		const neverFit = ({ takes, quota }: Stand) => takes > quota
		const quotas = stands.map((stand): Quota => {
			const { name, unit, quota, window, left, takes, full, again } = stand
			const remaining = refused.length === 0 ? left - takes : Math.max(0, left)
			return { name, unit, quota, window, remaining, reset: takes > left && !neverFit(stand) ? again : full }
		})
		if (refused[0]) {
			const { code, detail } = refused[0]
			throw new ProblemError({
				code,
				detail,
				'violated-policies': refused.map(({ name }) => name),
				quotas,
				// What is more than a limit allows at all is refused again, whenever it comes.
				...(!refused.some(neverFit) && { retryAfter: Math.max(...refused.map(({ again = soon }) => again)) })
			})
		}
		for (const { subject, arrival } of stands) {
			if (arrival !== undefined) {
				this.#sql.exec(
					'INSERT INTO tallies (subject, arrival) VALUES (?, ?) ON CONFLICT DO UPDATE SET arrival = excluded.arrival',
					...[subject, arrival]
				)
			}
		}
		return quotas
	}

	/** What an order that was let in uses. */
	begin(key: string, { pictures, amount }: Size): void {
		this.#sql.exec(
			`INSERT INTO tallies (subject, in_flight, held) VALUES ('', ?1, 0), (?3, ?1, ?2)
			ON CONFLICT DO UPDATE SET in_flight = in_flight + excluded.in_flight, held = held + excluded.held`,
			...[pictures, amount, this.#subjectOf(key)]
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

	#stands(name: string, row: Row, limits: Partial<Limits>, { pictures, amount }: Size, now: number): Stand[] {
		const { subject, in_flight, held } = row
		const { pictures_in_flight: most, spend_per_day, spend_per_month } = limits
		const stands: Stand[] = paces(name, row, limits, now, 'orders')
		if (most) {
			const detail = `Expected at most ${most} pictures in flight, got ${in_flight} and ${pictures} more.`
			const stand = { code: 'too-many-in-flight', subject, name: `${name}-in-flight`, unit: 'pictures', detail } as const
			stands.push({ ...stand, quota: most, left: most - in_flight, takes: pictures })
		}
		const today = dayOf(now)
		const spends = [
			['day', spend_per_day, today, Date.parse(today) + day],
			['month', spend_per_month, `${today.slice(0, 7)}-01`, nextMonth(now)]
		] as const
		for (const [span, limit, since, until] of spends) {
			if (limit) {
				// Not of days to come, which there are where the clock was set back.
				const spent = this.#usage.spent(since, dayOf(until), subject || undefined)
				const left = Math.max(0, limit - spent - held)
				const full = Math.ceil((until - now) / 1_000)
				const window = (until - Date.parse(since)) / 1_000
				const end = new Date(until).toISOString()
				const detail = `The order may cost ${inUnits(amount)}, and the ${name}'s limit of ${inUnits(limit)} a ${span} leaves ${inUnits(left)} until ${end}.`
				const stand = { code: 'spend-limit', subject, name: `${name}-spend-${span}`, unit: 'micro-units', detail } as const
				stands.push({ ...stand, quota: limit, window, left, takes: amount, full, again: full })
			}
		}
		return stands
	}

	/** The account's row, and a key's; of what is no order, where their subjects end with `thing`. */
	#read(key: string, thing = ''): [account: Row, key: Row] {
		const subjects = [thing, this.#subjectOf(key) + thing] as const
		const rows = this.#sql
			.exec<Row>('SELECT subject, arrival, in_flight, held FROM tallies WHERE subject IN (?, ?)', ...subjects)
			.toArray()
		const rowOf = (subject: string) =>
			rows.find((row) => row.subject === subject) ?? { subject, arrival: 0, in_flight: 0, held: 0 }
		return [rowOf(subjects[0]), rowOf(subjects[1])]
	}

	/** Generations from before keys were noted have none: the empty one. */
	#subjectOf(key: string): string {
		const known = this.#lineages.get(key)
		if (known !== undefined) {
			return known
		}
		const row = this.#sql.exec<{ lineage: string }>('SELECT lineage FROM keys WHERE hash = ?', key).toArray()[0]
		if (row) {
			this.#lineages.set(key, row.lineage)
		}
		return row?.lineage ?? ''
	}

	#release(key: string, pictures: number, amount: number): void {
		this.#sql.exec(
			`UPDATE tallies SET in_flight = in_flight - ?, held = held - CASE subject WHEN '' THEN 0 ELSE ? END
			WHERE subject IN ('', ?)`,
			...[pictures, amount, this.#subjectOf(key)]
		)
	}
}

/**
 * The generic cell rate algorithm (ITU-T I.371): orders arrive a minute / quota apart, or up to a whole minute's worth of them early. Only
 * where the clock was set back is an arrival further ahead, and nobody waits for it to come round again.
 */
function paces(
	name: string,
	{ subject, arrival }: Row,
	{ requests_per_minute: quota }: Partial<Limits>,
	now: number,
	things: string
): Stand[] {
	if (!quota) {
		return []
	}
	const ahead = arrival - now > minute + 1 ? 0 : Math.max(arrival - now, 0)
	const apart = minute / quota
	const stand: Stand = {
		code: 'rate-limited',
		subject,
		name,
		quota,
		window: 60,
		// The thousandth is for what a float leaves of a minute that was added up of `quota` parts.
		left: Math.min(Math.floor((minute - ahead + 0.001) / apart), quota),
		takes: 1,
		full: Math.ceil((ahead + apart - 0.001) / 1_000),
		again: Math.ceil((ahead + apart - minute - 0.001) / 1_000),
		arrival: now + ahead + apart,
		detail: `Expected at most ${quota} ${things} a minute.`
	}
	return [stand]
}

function nextMonth(now: number): number {
	const date = new Date(now)
	return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}
