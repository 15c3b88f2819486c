import type { WebhookFormat } from '../../../shared/contract/webhooks.ts'
import { foreignBody, foreignHeaders } from '../../compat/webhooks.ts'
import type { Env } from '../../env.ts'
import { present } from '../../routes/present.ts'
import type { Generations } from '../generations.ts'
import type { DeliveryRow } from './deliveries.ts'
import { messageOf } from './message.ts'

interface Parts {
	env: Env
	generations: Generations
	/** The account's name. */
	account(): string
}

/** What a delivery says: our own message, or, of a generation that came through an adapter, what its vendor would post. */
export class Contents {
	readonly #parts: Parts

	constructor(parts: Parts) {
		this.#parts = parts
	}

	async bodyOf(delivery: DeliveryRow): Promise<string> {
		const { env, generations, account } = this.#parts
		const { generation: id } = delivery
		const snapshot = id !== null && generations.find(id) ? generations.read(id) : undefined
		const format = snapshot && this.#formatOf(delivery)
		return format && format !== 'darkroom'
			? foreignBody(env, account(), await present(env, snapshot), format)
			: messageOf(env, delivery, snapshot)
	}

	/** Those that are not Standard Webhooks', where a vendor has some. `at`: when this attempt is made, in milliseconds. */
	async headersOf(delivery: DeliveryRow, at: number, body: string): Promise<Record<string, string>> {
		const { env, account } = this.#parts
		const format = this.#formatOf(delivery)
		return format ? foreignHeaders(env, account(), delivery.generation as string, format, at, body) : {}
	}

	/** The account's own endpoints are told in our words alone. */
	#formatOf({ endpoint, generation }: DeliveryRow): WebhookFormat | undefined {
		return endpoint === null && generation !== null ? this.#parts.generations.webhook(generation)?.format : undefined
	}
}
