/**
 * Whose turn it is. Everything here is counted in ticks (calls of the network), never in milliseconds, so that what it promises can be
 * tested to the tick.
 */

/** Ticks that a row may wait for another one of its own priority; then it is overdue. */
export const PATIENCE = 8

/** What decides about a row. */
export interface Turn {
	readonly priority: number
	/** When its generation expires, in any unit that all rows share; infinity where it does not. */
	readonly deadline: number
	/** Rows are numbered as they arrive. */
	readonly arrival: number
	/** Ticks since it last took part in one, or since it arrived. */
	waited: number
	/** Ticks of its group that it has had in a row; 0 while it waits for a seat. */
	served: number
	/** Whether it has taken part in any tick. */
	begun: boolean
}

/**
 * Chooses who takes part in the next tick: one group, whose rows can share a call, and as many of its rows as `limit` evaluations hold
 * (one row always); in the order of their arrival, so that the same rows come in the same order tick after tick. Marks every row.
 *
 * Overdue rows come first, whoever has waited longest before all; then priority, then the earlier deadline. What is equal in all of these:
 *
 * - Groups take turns, and a row that has not begun comes before those that have.
 * - Rows keep their seats, until an overdue one needs a seat: the row that has had the most ticks since it sat down gives its own.
 *
 * With `stay`, the group that had the last tick has the next ones too, until a row of another one is overdue: for where a change of groups costs time of
 * its own (steady-sizes.ts).
 *
 * So no row waits for another's fifty steps. One of priority p is overdue after PATIENCE · (1 + P − p) ticks, P being the highest priority
 * there is, and from then on only rows ahead of it that have waited longer still: each of them sits at most once before it does.
 */
export function chooseRows<R extends { readonly turn: Turn; readonly evaluations: number }>(
	groups: ReadonlyMap<string, readonly R[]>,
	limit: (key: string) => number,
	stay = false
): { key: string; rows: R[] } | undefined {
	const all = [...groups].flatMap(([key, rows]) => rows.map((row) => ({ key, row })))
	if (all.length === 0) {
		return undefined
	}
	const top = Math.max(...all.map(({ row }) => row.turn.priority))
	const urgency = byUrgency(top)
	const { key } = all.reduce((first, other) =>
		urgency(other.row.turn, first.row.turn, stay ? byStay : byAge) < 0 ? other : first
	)

	const room = limit(key)
	const chosen = new Set<R>()
	let size = 0
	for (const row of [...groups.get(key)!].sort((a, b) => urgency(a.turn, b.turn, bySeat))) {
		size += row.evaluations
		if (chosen.size > 0 && size > room) {
			break
		}
		chosen.add(row)
	}
	for (const { key: other, row } of all) {
		mark(row.turn, chosen.has(row), other === key)
	}
	return { key, rows: [...chosen].sort((a, b) => a.turn.arrival - b.turn.arrival) }
}

function mark(turn: Turn, chosen: boolean, ofGroup: boolean): void {
	if (chosen) {
		turn.waited = 0
		turn.served += 1
		turn.begun = true
	} else {
		turn.waited += 1
		// Another group's tick takes nobody's seat.
		turn.served = ofGroup ? 0 : turn.served
	}
}

type Order = (a: Turn, b: Turn) => number

/** Negative when `a` comes first; `then` decides between what is equally urgent. */
const byUrgency = (top: number) => {
	const overdue = ({ waited, priority }: Turn) => waited >= PATIENCE * (1 + top - priority)
	return (a: Turn, b: Turn, then: Order): number => {
		if (overdue(a) || overdue(b)) {
			return Number(overdue(b)) - Number(overdue(a)) || b.waited - a.waited || a.arrival - b.arrival
		}
		// Two infinite deadlines have no difference that is a number.
		return b.priority - a.priority || (a.deadline === b.deadline ? 0 : a.deadline - b.deadline) || then(a, b)
	}
}

const byAge: Order = (a, b) => Number(a.begun) - Number(b.begun) || b.waited - a.waited || a.arrival - b.arrival

/** Who took part in the last tick has waited for none. */
const byStay: Order = (a, b) => Number(tookPart(b)) - Number(tookPart(a)) || byAge(a, b)
const tookPart = ({ begun, waited }: Turn) => begun && waited === 0

const bySeat: Order = (a, b) => Number(b.served > 0) - Number(a.served > 0) || a.served - b.served || a.arrival - b.arrival
