import type { WebhookSecret } from '../../../shared/contract/webhooks.ts'
import { newSecret } from './signature.ts'

/** Milliseconds for which the secret before the latest one signs, too, so that receivers can change theirs at leisure. */
export const overlap = 24 * 3_600_000

interface Stored {
	current: string
	previous?: { secret: string; until: number }
}

/** What the account's webhooks are signed with. Made when it is first asked for. */
export class Secrets {
	readonly #kv: SyncKvStorage

	constructor(kv: SyncKvStorage) {
		this.#kv = kv
	}

	read(now: number): WebhookSecret {
		const { current, previous } = this.#stored()
		const isGood = previous && previous.until > now
		return { secret: current, previous_expires_at: isGood ? new Date(previous.until).toISOString() : null }
	}

	rotate(now: number): WebhookSecret {
		const { current } = this.#stored()
		this.#kv.put<Stored>('webhook-secret', { current: newSecret(), previous: { secret: current, until: now + overlap } })
		return this.read(now)
	}

	/** Those that sign now. */
	good(now: number): string[] {
		const { current, previous } = this.#stored()
		return previous && previous.until > now ? [current, previous.secret] : [current]
	}

	#stored(): Stored {
		const stored = this.#kv.get<Stored>('webhook-secret') ?? { current: newSecret() }
		this.#kv.put('webhook-secret', stored)
		return stored
	}
}
