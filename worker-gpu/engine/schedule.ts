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
	/** Ticks since it arrived, and since it last took part in one. */
	age: number
	waited: number
	/** Whether it has taken part in any tick. */
	begun: boolean
}

export interface Candidate {
	readonly turn: Turn
	/** That it takes a tick. */
	readonly evaluations: number
	/** Ticks that it still needs. */
	readonly left: number
}

/** Evaluations that a call may hold. */
export interface Room {
	readonly most: number
	/** While there are fewer than fill one: where a larger call gains little throughput, and holds up all that are in it. */
	readonly light: number
}

/**
 * Chooses who takes part in the next tick: one group, whose rows can share a call, and as many of its rows as there is room for
 * (one row always); in the order of their arrival, so that the same rows come in the same order tick after tick. Marks every row.
 *
 * Overdue rows come first, whoever has waited longest before all; then priority, then the earlier deadline. What is equal in all of these:
 *
 * - Groups take turns, and a row that has not begun comes before those that have.
 * - What a row still needs, over the ticks that it has been there, says whose turn it is: the least goes first. So short ones end soon, and long ones are
 *   not put off (Brinch Hansen, 1971: the highest response ratio next).
 *
 * Where there are fewer rows than fill a call, some wait: two at a time and then the next two end sooner, on the mean, than four. But who has not begun
 * or is overdue is not kept waiting for that.
 *
 * With `stay`, the group that had the last tick has the next ones too, until a row of another one is overdue: for where a change of groups costs time of
 * its own (steady-sizes.ts).
 *
 * So no row waits for another's fifty steps. One of priority p is overdue after PATIENCE · (1 + P − p) ticks, P being the highest priority
 * there is, and from then on only rows ahead of it that have waited longer still: each of them takes part at most once before it does.
 */
export function chooseRows<R extends Candidate>(
	groups: ReadonlyMap<string, readonly R[]>,
	roomOf: (key: string) => Room,
	stay = false
): { key: string; rows: R[] } | undefined {
	const all = [...groups].flatMap(([key, rows]) => rows.map((row) => ({ key, row })))
	if (all.length === 0) {
		return undefined
	}
	const overdue = isOverdue(Math.max(...all.map(({ row }) => row.turn.priority)))
	const urgency = byUrgency(overdue)
	const { key } = all.reduce((first, other) => (urgency(other.row, first.row, stay ? byStay : byAge) < 0 ? other : first))

	const group = groups.get(key)!
	const { most, light } = roomOf(key)
	const room = sum(group) < most ? light : most
	const chosen = new Set<R>()
	let size = 0
	for (const row of [...group].sort((a, b) => urgency(a, b, byRest))) {
		const { turn, evaluations } = row
		const pressing = !turn.begun || overdue(turn)
		if (chosen.size === 0 || size + evaluations <= (pressing ? most : room)) {
			chosen.add(row)
			size += evaluations
		}
	}
	for (const { row } of all) {
		mark(row.turn, chosen.has(row))
	}
	return { key, rows: [...chosen].sort((a, b) => a.turn.arrival - b.turn.arrival) }
}

const sum = (rows: readonly Candidate[]) => rows.reduce((total, { evaluations }) => total + evaluations, 0)

function mark(turn: Turn, chosen: boolean): void {
	turn.age += 1
	turn.waited = chosen ? 0 : turn.waited + 1
	turn.begun ||= chosen
}

const isOverdue =
	(top: number) =>
	({ waited, priority }: Turn): boolean =>
		waited >= PATIENCE * (1 + top - priority)

type Order = (a: Candidate, b: Candidate) => number

/** Negative when `a` comes first; `then` decides between what is equally urgent. */
const byUrgency =
	(overdue: (turn: Turn) => boolean) =>
	(one: Candidate, other: Candidate, then: Order): number => {
		const [a, b] = [one.turn, other.turn]
		if (overdue(a) || overdue(b)) {
			return Number(overdue(b)) - Number(overdue(a)) || b.waited - a.waited || a.arrival - b.arrival
		}
		// Two infinite deadlines have no difference that is a number.
		return b.priority - a.priority || (a.deadline === b.deadline ? 0 : a.deadline - b.deadline) || then(one, other)
	}

const byAge: Order = ({ turn: a }, { turn: b }) =>
	Number(a.begun) - Number(b.begun) || b.waited - a.waited || a.arrival - b.arrival

/** Who took part in the last tick has waited for none. */
const byStay: Order = (a, b) => Number(tookPart(b)) - Number(tookPart(a)) || byAge(a, b)
const tookPart = ({ turn: { begun, waited } }: Candidate) => begun && waited === 0

const byRest: Order = (a, b) =>
	Number(a.turn.begun) - Number(b.turn.begun) || rest(a) - rest(b) || a.turn.arrival - b.turn.arrival
const rest = ({ left, turn: { age } }: Candidate) => left / (1 + age)
