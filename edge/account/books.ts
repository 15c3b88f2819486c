import { Allowances } from './allowances.ts'
import { Archives } from './archives.ts'
import { Attempts } from './attempts.ts'
import { Due } from './due.ts'
import { Generations } from './generations.ts'
import type { Observer } from './happenings.ts'
import { Inputs } from './inputs.ts'
import { Keys } from './keys.ts'
import { Ledger } from './ledger.ts'
import { Lineup } from './lineup.ts'
import { Plans } from './plans.ts'
import { Repeats } from './repeats.ts'
import { UsageCounts } from './usage.ts'

/** Everything that an account keeps, each thing with its one owner. */
export function openBooks(storage: DurableObjectStorage, tell: Observer) {
	const { sql } = storage
	const due = new Due(sql)
	const keys = new Keys(sql)
	const ledger = new Ledger(sql)
	const usage = new UsageCounts(sql)
	const plans = new Plans(storage.kv)
	const allowances = new Allowances(sql, plans, usage)
	const repeats = new Repeats(sql)
	const lineup = new Lineup(sql, due)
	const inputs = new Inputs(sql, due)
	const archives = new Archives(sql)
	const generations = new Generations({ sql, due, ledger, allowances, plans, lineup, inputs, archives, tell })
	const attempts = new Attempts({ sql, due, generations, ledger, allowances, usage, lineup, tell })
	return { due, keys, ledger, usage, plans, allowances, repeats, lineup, inputs, archives, generations, attempts }
}
export type Books = ReturnType<typeof openBooks>
