import { soon } from '../soon.ts'
import type { Due, Duty, Kind } from './due.ts'

const batchSize = 100
/** Milliseconds after which what waits its turn is looked at again, should that not come. */
const glance = 1_000
/** Milliseconds: how long a duty that fails is put off at most. */
const longestAfterFault = 60_000

interface Parts {
	due: Due
	duties: Record<Kind, Duty>
	/** Does not wait until the clock has caught up for what was put off by one that was ahead. */
	bringBack(now: number): void
	storage: DurableObjectStorage
	transact<T>(work: () => T): T
	/** Goes on with it after the answer. */
	defer(work: Promise<unknown>): void
}

/** Does what is due, and keeps the Account's one alarm set to what is due next. */
export class Agenda {
	readonly #parts: Parts
	#alarmAt: number | undefined
	#isNew = true
	/** Of which no more is begun until what is under way is done. */
	readonly #busy = new Set<Kind>()

	constructor(parts: Parts) {
		this.#parts = parts
	}

	/** The alarm rang. */
	rang(): void {
		this.#alarmAt = undefined
		this.goOn()
	}

	/** Makes no one wait. */
	goOn(): void {
		const { due, duties, bringBack, transact, defer } = this.#parts
		const now = Date.now()
		// Time goes back between the lives of an object alone: workerd lets it stand still until the clock has caught up.
		if (this.#isNew) {
			this.#isNew = false
			bringBack(now)
		}
		const next = due.next()
		if (next !== undefined && next <= now) {
			const claimed = transact(() => due.claim(now, batchSize, (kind) => duties[kind].again(now), this.#busy))
			for (const [kind, subjects] of claimed) {
				const duty = duties[kind]
				if ('runAll' in duty) {
					const done = duty.runAll(subjects)
					defer(duty.inTurn ? this.#takeTurn(kind, soon(done, duty.again(now))) : done)
				} else {
					for (const subject of subjects) {
						this.#perform(kind, subject, now, duty.run)
					}
				}
			}
		}
		this.arm()
	}

	/** An alarm that is too early finds nothing to do, which is cheaper than to set it anew at each call. */
	arm(): void {
		const { due, storage, defer } = this.#parts
		const next = due.next()
		if (next === undefined) {
			return
		}
		const at = this.#busy.size > 0 ? Math.max(next, Date.now() + glance) : next
		if (at < (this.#alarmAt ?? Number.POSITIVE_INFINITY)) {
			this.#alarmAt = at
			defer(storage.setAlarm(at))
		}
	}

	/** Thousands at once, each of which waits for storage, are more than an object's memory holds. */
	async #takeTurn(kind: Kind, done: Promise<unknown>): Promise<void> {
		this.#busy.add(kind)
		try {
			await done
		} finally {
			this.#busy.delete(kind)
			this.goOn()
		}
	}

	/** In a transaction of its own: what fails for one subject is put off, and stops no other. */
	#perform(kind: Kind, subject: string, now: number, run: (subject: string, now: number) => void): void {
		const { due, transact } = this.#parts
		try {
			transact(() => run(subject, now))
		} catch (error) {
			console.error(JSON.stringify({ due: kind, subject, error: error instanceof Error ? error.stack : String(error) }))
			due.failed(kind, subject, now, longestAfterFault)
		}
	}
}
