/**
 * Whose turn it is. Everything here is counted in ticks (calls of the network), never in milliseconds, so that what it promises can be
 * tested to the tick.
 */

/** Ticks that a row may wait for others; then it is overdue. Where it rests for those of a higher priority, that many more for each step between them. */
export const PATIENCE = 8

/** What decides about a row. */
export interface Turn {
	readonly priority: number
	/** When its generation expires, in any unit that all rows share; infinity where it does not. */
	readonly deadline: number
	/** Rows are numbered as they arrive. */
	readonly arrival: number
	/** Ticks since it arrived, and since it last took part in one; of a row that rests, since any of its priority did. */
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
	/** Whether it is in a call that is under way; in one lane none is. */
	readonly busy?: boolean
}

/** Evaluations that a call may hold. */
export interface Room {
	readonly most: number
	/**
	 * While there are fewer than fill one: where a larger call gains little throughput, and holds up all that are in it. In two lanes the least of which two in
	 * turn are better than one of twice the size.
	 */
	readonly light: number
}

interface Ways {
	/** False by default. */
	readonly stay?: boolean
	/** Calls that may be under way at once, of which one runs and the other is next: one by default. */
	readonly lanes?: 1 | 2
}

/**
 * Chooses who takes part in the next tick: one group, whose rows can share a call, and as many of its rows as there is room for
 * (one row always); in the order of their arrival, so that the same rows come in the same order tick after tick. Marks every row.
 *
 * Rows below the highest priority that there is rest, for each of them in a call makes it longer for those that are in it. But they are not put off for ever: of
 * priority p, P being the highest, they are overdue once none of them has taken part for PATIENCE · (1 + P − p) ticks. However many rest, that is one tick in so many.
 *
 * Overdue rows come first, whoever has waited longest before all; then the earlier deadline. What is equal in both:
 *
 * - Groups take turns, and a row that has not begun comes before those that have.
 * - What a row still needs, over the ticks that it has been there, says whose turn it is: the least goes first. So short ones end soon, and long ones are
 *   not put off (Brinch Hansen, 1971: the highest response ratio next).
 *
 * Where there are fewer rows than fill a call, some wait: two at a time and then the next two end sooner, on the mean, than four. But who has not begun
 * or is overdue is not kept waiting for that.
 *
 * In two lanes the rows of one are advanced while the call of the other runs. Beside a call that is under way there is another one of its group where the rows
 * that are left fill it (`roomIn`), and with `stay` one of another group where that is more urgent; else nothing is chosen until that call ends.
 *
 * With `stay`, the group that had the last tick has the next ones too, until a row of another one is overdue: for where a change of groups costs time of
 * its own (steady-sizes.ts).
 *
 * So no row of the highest priority waits for another's fifty steps. It is overdue after PATIENCE ticks, and from then on only rows ahead of it that have waited
 * longer still: each of them takes part at most once before it does.
 */
export function chooseRows<R extends Candidate>(
	groups: ReadonlyMap<string, readonly R[]>,
	roomOf: (key: string) => Room,
	{ stay = false, lanes = 1 }: Ways = {}
): { key: string; rows: R[] } | undefined {
	const all = [...groups].flatMap(([key, rows]) => rows.map((row) => ({ key, row })))
	const top = Math.max(...all.map(({ row }) => row.turn.priority))
	const overdue = isOverdue(top)
	const isAwake = ({ turn }: Candidate) => turn.priority === top || overdue(turn)
	const first = all.filter(({ row }) => isAwake(row) && (stay || !row.busy))
	if (first.length === 0) {
		return undefined
	}
	const urgency = byUrgency(overdue)
	const { key } = first.reduce((one, other) => (urgency(other.row, one.row, stay ? byStay : byAge) < 0 ? other : one))

	const group = groups.get(key)!.filter(isAwake)
	const free = group.filter(({ busy }) => !busy)
	const { usual, pressed } = roomIn(lanes, sum(group), roomOf(key))
	if (free.length < group.length && sum(free) < usual) {
		return undefined
	}
	const chosen = new Set<R>()
	let size = 0
	for (const row of free.sort((a, b) => urgency(a, b, byRest))) {
		const { turn, evaluations } = row
		const pressing = !turn.begun || overdue(turn)
		if (chosen.size === 0 || size + evaluations <= (pressing ? pressed : usual)) {
			chosen.add(row)
			size += evaluations
		}
	}
	const served = new Set(Array.from(chosen, ({ turn }) => turn.priority))
	for (const { row } of all) {
		const { priority } = row.turn
		mark(row.turn, chosen.has(row), priority < top && served.has(priority))
	}
	return { key, rows: [...chosen].sort((a, b) => a.turn.arrival - b.turn.arrival) }
}

/**
 * How many of `all` evaluations a call holds, and how many where they press. In two lanes half of them, rounded down to a size that steady-sizes.ts need not fill
 * up; who has no seat then is in the next call, which begins when this one ends.
 */
function roomIn(lanes: 1 | 2, all: number, { most, light }: Room): { usual: number; pressed: number } {
	if (lanes === 1) {
		return { usual: all < most ? light : most, pressed: most }
	}
	const half = 2 ** Math.floor(Math.log2(all / 2))
	const room = half < light ? most : Math.min(half, most)
	return { usual: room, pressed: room }
}

const sum = (rows: readonly Candidate[]) => rows.reduce((total, { evaluations }) => total + evaluations, 0)

/** @param rests while others of its priority had their turn */
function mark(turn: Turn, chosen: boolean, rests: boolean): void {
	turn.age += 1
	turn.waited = chosen || rests ? 0 : turn.waited + 1
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
		return (a.deadline === b.deadline ? 0 : a.deadline - b.deadline) || then(one, other)
	}

const byAge: Order = ({ turn: a }, { turn: b }) =>
	Number(a.begun) - Number(b.begun) || b.waited - a.waited || a.arrival - b.arrival

/** Who took part in the last tick has waited for none. */
const byStay: Order = (a, b) => Number(tookPart(b)) - Number(tookPart(a)) || byAge(a, b)
const tookPart = ({ turn: { begun, waited } }: Candidate) => begun && waited === 0

const byRest: Order = (a, b) =>
	Number(a.turn.begun) - Number(b.turn.begun) || rest(a) - rest(b) || a.turn.arrival - b.turn.arrival
const rest = ({ left, turn: { age } }: Candidate) => left / (1 + age)
