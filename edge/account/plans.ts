import type { Limits, PlanName, Standing } from '../../shared/contract/account.ts'

/** What accounts may do unless their admin says otherwise, and for how many days their pictures are kept. */
const plans: Record<PlanName, { limits: Limits; retentionDays: number }> = {
	trial: {
		limits: { requests_per_minute: 60, pictures_in_flight: 16, spend_per_day: null, spend_per_month: null },
		retentionDays: 1
	},
	standard: {
		limits: { requests_per_minute: 600, pictures_in_flight: 1_000, spend_per_day: null, spend_per_month: null },
		retentionDays: 30
	},
	scale: {
		limits: { requests_per_minute: 60_000, pictures_in_flight: 100_000, spend_per_day: null, spend_per_month: null },
		retentionDays: 90
	}
}

/** The account's plan, and the limits that are its own. */
export class Plans {
	readonly #kv: SyncKvStorage
	/** Read for each order; nobody else writes it. */
	#standing: Standing | undefined

	constructor(kv: SyncKvStorage) {
		this.#kv = kv
	}

	get standing(): Standing {
		this.#standing ??= this.#kv.get<Standing>('standing') ?? { plan: 'standard', limits: {} }
		return this.#standing
	}

	set standing(standing: Standing) {
		this.#kv.put('standing', standing)
		this.#standing = standing
	}

	get limits(): Limits {
		const { plan, limits } = this.standing
		return { ...plans[plan].limits, ...(limits as Limits) }
	}

	get retentionDays(): number {
		return plans[this.standing.plan].retentionDays
	}
}
