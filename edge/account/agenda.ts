import type { Due, Duty, Kind } from './due.ts'

const batchSize = 500
/** Milliseconds: how long a duty that fails is put off at most. */
const longestAfterFault = 60_000

interface Parts {
	due: Due
	duties: Record<Kind, Duty>
	storage: DurableObjectStorage
	transact<T>(work: () => T): T
	/** Goes on with it after the answer. */
	defer(work: Promise<unknown>): void
}

/** Does what is due, and keeps the Account's one alarm set to what is due next. */
export class Agenda {
	readonly #parts: Parts
	#alarmAt: number | undefined
	#isAtWork = false

	constructor(parts: Parts) {
		this.#parts = parts
	}

	/** The alarm rang. */
	rang(): void {
		this.#alarmAt = undefined
		this.goOn()
	}

	/** Makes no one wait. What a duty makes due while it is done, is for the alarm: thousands within one another have no room on the stack. */
	goOn(): void {
		const now = Date.now()
		const next = this.#parts.due.next()
		if (next !== undefined && next <= now && !this.#isAtWork) {
			this.#isAtWork = true
			try {
				this.#work(now)
			} finally {
				this.#isAtWork = false
			}
		}
		this.arm()
	}

	#work(now: number): void {
		const { due, duties, transact, defer } = this.#parts
		const claimed = transact(() => due.claim(now, batchSize, (kind) => duties[kind].again(now)))
		for (const [kind, subjects] of claimed) {
			const duty = duties[kind]
			if ('runAll' in duty) {
				defer(duty.runAll(subjects))
			} else {
				for (const subject of subjects) {
					this.#perform(kind, subject, now, duty.run)
				}
			}
		}
	}

	/** An alarm that is too early finds nothing to do, which is cheaper than to set it anew at each call. */
	arm(): void {
		const { due, storage, defer } = this.#parts
		const next = due.next()
		if (next !== undefined && next < (this.#alarmAt ?? Number.POSITIVE_INFINITY)) {
			this.#alarmAt = next
			defer(storage.setAlarm(next))
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
