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
		const { due, duties, transact, defer } = this.#parts
		const now = Date.now()
		const next = due.next()
		if (next !== undefined && next <= now) {
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
		this.arm()
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
