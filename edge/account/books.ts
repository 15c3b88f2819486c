import { Attempts } from './attempts.ts'
import { Due } from './due.ts'
import { Generations } from './generations.ts'
import type { Observer } from './happenings.ts'
import { Keys } from './keys.ts'
import { Ledger } from './ledger.ts'
import { UsageCounts } from './usage.ts'

/** Everything that an account keeps, each thing with its one owner. */
export function openBooks(sql: SqlStorage, tell: Observer) {
	const due = new Due(sql)
	const keys = new Keys(sql)
	const ledger = new Ledger(sql)
	const usage = new UsageCounts(sql)
	const generations = new Generations(sql, due, ledger, tell)
	const attempts = new Attempts(sql, due, generations, ledger, usage, tell)
	return { due, keys, ledger, usage, generations, attempts }
}
export type Books = ReturnType<typeof openBooks>
