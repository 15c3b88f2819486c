import type { WebhookSecret } from '../../../shared/contract/webhooks.ts'
import { newSecret } from './signature.ts'

/** Milliseconds for which a secret goes on signing after it was replaced, so that receivers can change theirs at leisure. */
const overlap = 24 * 3_600_000
/** How many are kept beside the latest one: whoever rotates twice in a day breaks no receiver, and nobody makes headers without end. */
const mostPrevious = 4

interface Stored {
	current: string
	/** Latest first. */
	previous: { secret: string; until: number }[]
}

/** What the account's webhooks are signed with. Made when it is first asked for. */
export class Secrets {
	readonly #kv: SyncKvStorage

	constructor(kv: SyncKvStorage) {
		this.#kv = kv
	}

	read(now: number): WebhookSecret {
		const { current, previous } = this.#stored(now)
		return { secret: current, previous_expires_at: previous[0] ? new Date(previous[0].until).toISOString() : null }
	}

	rotate(now: number): WebhookSecret {
		const { current, previous } = this.#stored(now)
		const all = [{ secret: current, until: now + overlap }, ...previous].slice(0, mostPrevious)
		this.#kv.put<Stored>('webhook-secret', { current: newSecret(), previous: all })
		return this.read(now)
	}

	/** Those that sign now. */
	good(now: number): string[] {
		const { current, previous } = this.#stored(now)
		return [current, ...previous.map(({ secret }) => secret)]
	}

	#stored(now: number): Stored {
		const stored = this.#kv.get<Stored>('webhook-secret')
		if (!stored) {
			const made = { current: newSecret(), previous: [] }
			this.#kv.put<Stored>('webhook-secret', made)
			return made
		}
		// There was one alone, or none, before several were kept.
		const previous = [stored.previous ?? []].flat().filter(({ until }) => until > now)
		return { current: stored.current, previous }
	}
}
