import type { Order } from '../../shared/contract/order.ts'
import { week } from '../../shared/contract/terms.ts'
import { refuse } from '../refuse.ts'

/** Milliseconds after which what nobody has taken ends, as if that had been its deadline: perhaps no node has its model. */
export const longestWait = week * 1_000

/** When an order is to have ended, and to have been started, in milliseconds; null where it does not say. Refuses what has passed, and what is further ahead than a week. */
export const deadlinesOf = (terms: Order['terms'], now: number) => ({
	deadline: timeOf('deadline', terms, now),
	start_deadline: timeOf('start_deadline', terms, now)
})

function timeOf(term: 'deadline' | 'start_deadline', terms: Order['terms'], now: number): number | null {
	const asked = terms[term]
	if (asked === null) {
		return null
	}
	const at = typeof asked === 'number' ? now + Math.ceil(asked * 1_000) : Date.parse(asked)
	if (at <= now || at > now + longestWait) {
		refuse(`/${term}`, `a time from now to ${week / 86_400} days ahead`, String(asked))
	}
	return at
}
